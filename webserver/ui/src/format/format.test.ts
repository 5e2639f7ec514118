import { describe, expect, test } from 'vitest'
import { formatBytes, parseBytes, percentOf } from './numbers'
import { amountOf, formatSlots, slotsIn } from './slots'
import { formatAgo, formatSpan, formatTime, readable } from './times'

describe('numbers', () => {
  test.each([
    [0, '0 B'], [1023, '1023 B'], [1536, '1.5 KiB'], ['1073741824', '1 GiB'], [null, '–'], ['x', '–'], ['', '–'], [Infinity, '∞'],
  ])('%s bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))

  test.each([
    ['4g', 4 * 2 ** 30], ['4 GiB', 4 * 2 ** 30], ['512M', 512 * 2 ** 20], ['1024', 1024], ['1.5k', 1536], ['four', NaN], ['', NaN], ['-1g', NaN],
  ])('%s is %s', (text, bytes) => expect(parseBytes(text)).toBe(bytes))

  test('a percentage stays within its bounds, and needs a limit', () => {
    expect(percentOf(3, 2)).toBe(100)
    expect(percentOf(1, 4)).toBe(25)
    expect(percentOf(1, 0)).toBeNull()
    expect(percentOf(1, Infinity)).toBeNull()
  })
})

describe('slots', () => {
  test('those that matter come first, and zeros do not come', () => {
    expect(slotsIn({ 'cuda.device': '1', mem: '1024', cpu: '2' }, { 'a.device': '0' })).toEqual(['cpu', 'mem', 'cuda.device'])
  })
  test('amounts have units', () => {
    expect(formatSlots({ cpu: '2', mem: String(2 ** 32), 'cuda.device': '1' })).toBe('2 cores · 4 GiB · 1 GPU')
  })
  test('no limit is infinite, and absence what is asked for', () => {
    expect(amountOf({ cpu: 'Infinity' }, 'cpu')).toBe(Infinity)
    expect(amountOf({}, 'cpu')).toBe(0)
    expect(amountOf({}, 'cpu', Infinity)).toBe(Infinity)
  })
})

describe('times', () => {
  test.each([[5, '0:00:05'], [3725, '1:02:05'], [90_061, '1d 1:01:01'], [-3, '0:00:00']])('%s seconds are %s', (seconds, text) =>
    expect(formatSpan(seconds)).toBe(text),
  )
  test('ago is told in the largest unit, in the language of the page', () => {
    const now = Date.parse('2026-01-01T12:00:00Z')
    expect(formatAgo('2026-01-01T11:55:00Z', 'en', now)).toBe('5 minutes ago')
    expect(formatAgo('2025-12-30T12:00:00Z', 'ko', now)).toBe('그저께')
    expect(formatAgo(null, 'en', now)).toBe('–')
  })
})

test('moments within what a daemon says are told as people read them', () => {
  const at = '2026-11-23T08:15:51+00:00'
  expect(readable(`It was asked to start at ${at}.`, 'en')).toBe(`It was asked to start at ${formatTime(at, 'en')}.`)
  expect(readable('No node has room.', 'ko')).toBe('No node has room.')
})
