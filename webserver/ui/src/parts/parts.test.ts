import { expect, test } from 'vitest'
import { toCsv } from './csv'
import { pageAskOf, pageHere, readView, writeView } from './listView'

const FILTERS = [{ name: 'name', title: '' }, { name: 'status', title: '', words: ['A', 'B', 'C'] }]
const at = (query: string) => readView(new URLSearchParams(query), '-created_at', ['open'])

test('a view is read from the address, whatever is written there', () => {
  expect(at('page=0&size=7&open=x&name=a')).toEqual({ page: 1, size: 20, order: '-created_at', filters: { name: 'a' } })
  expect(at('page=3&size=50&order=name')).toMatchObject({ page: 3, size: 50, order: 'name' })
})
test('a change of anything but the page begins at the first page', () => {
  const now = new URLSearchParams('page=3&open=x')
  expect(writeView(now, { filters: { name: 'a' } }).toString()).toBe('open=x&name=a')
  expect(writeView(now, { page: 4 }).toString()).toBe('page=4&open=x')
  expect(writeView(new URLSearchParams('name=a'), { filters: { name: '' } }).toString()).toBe('')
})
test('a view becomes the question to the server', () => {
  expect(pageAskOf(at('page=2&name=x&status=A,B'), FILTERS, 'c == 1')).toEqual({
    limit: 20, offset: 20, order: '-created_at', filter: '(name ilike "%x%") & (status in ["A", "B"]) & (c == 1)',
  })
})
test('a whole list is filtered, ordered and cut the same way', () => {
  const all = [{ name: 'b', size: 2 }, { name: 'a10', size: 10 }, { name: 'a9', size: 1 }]
  const valueOf = (item: (typeof all)[number], name: string) => item[name as 'name' | 'size']
  const names = (query: string) => pageHere(all, at(query), [FILTERS[0]!], valueOf).items.map(({ name }) => name)
  expect(names('order=name')).toEqual(['a9', 'a10', 'b'])
  expect(names('order=-size')).toEqual(['a10', 'b', 'a9'])
  expect(names('name=A&order=name')).toEqual(['a9', 'a10'])
})
test('a file for spreadsheets holds text only', () => {
  expect(toCsv(['a', 'b'], [['x,"y"', '=1+1'], ['-5', 'z']])).toBe('a,b\r\n"x,""y""",\'=1+1\r\n-5,z')
})
