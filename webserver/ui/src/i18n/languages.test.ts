import { expect, test } from 'vitest'
import { en, ko } from '.'

type Tree = { [key: string]: string | Tree }

function textsOf(tree: Tree, prefix = ''): [string, string][] {
  return Object.entries(tree).flatMap(([key, value]) =>
    typeof value === 'string' ? [[prefix + key, value] as [string, string]] : textsOf(value, `${prefix}${key}.`),
  )
}
const holes = (text: string) => [...text.matchAll(/\{\{(\w+)\}\}/g)].map(([, name]) => name).sort()

test('both languages say the same things', () => {
  expect(textsOf(ko).map(([key]) => key)).toEqual(textsOf(en).map(([key]) => key))
})

test('nothing is left empty, and every text has the same holes', () => {
  const korean = Object.fromEntries(textsOf(ko))
  for (const [key, text] of textsOf(en)) {
    expect(text, key).not.toBe('')
    expect(korean[key], key).not.toBe('')
    // A singular may do without its number.
    if (!key.endsWith('_one')) expect(holes(korean[key] ?? ''), key).toEqual(holes(text))
  }
})
