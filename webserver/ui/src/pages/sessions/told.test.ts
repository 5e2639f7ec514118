import { expect, test } from 'vitest'
import { saidOf } from './told'

test('facts of a move are told in words, and what is no word is left out', () => {
  expect(saidOf({})).toEqual([])
  expect(saidOf(null)).toEqual([])
  expect(saidOf({ error: 'The image is gone.', seconds: 5, nested: { a: 1 }, none: null, empty: '' })).toEqual(['The image is gone.', 'seconds: 5'])
})
