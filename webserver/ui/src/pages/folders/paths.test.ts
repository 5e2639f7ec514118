import { expect, test } from 'vitest'
import { directoriesOf, joined, pathOfDropped, valueOf } from './paths'

const file = (path: string, name = 'f') => Object.assign(new File([], name), { path })

test('what is dropped keeps its place below what was dropped', () => {
  expect(pathOfDropped(file('/photos/a/1.png'))).toBe('photos/a/1.png')
  expect(pathOfDropped(file('./1.png'))).toBe('1.png')
  expect(pathOfDropped(file('', '1.png'))).toBe('1.png')
})
test('directories are made once each, those of all files', () => {
  expect(directoriesOf(['a/b/1', 'a/b/2', 'a/3', '4'])).toEqual(['a', 'a/b'])
})
test('paths are joined from the root on', () => {
  expect(joined('', 'a')).toBe('a')
  expect(joined('a/b', 'c')).toBe('a/b/c')
})
test('directories come before files', () => {
  const entry = { name: 'z', type: 'DIRECTORY', size: 4096, mode: '755', created: '', modified: '' }
  expect(valueOf(entry, 'place') < valueOf({ ...entry, name: 'a', type: 'FILE' }, 'place')).toBe(true)
  expect(valueOf(entry, 'size')).toBe(-1)
})
