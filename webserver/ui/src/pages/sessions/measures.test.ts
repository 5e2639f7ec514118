import { expect, test } from 'vitest'
import type { LiveStat } from '../../api/sessions'
import { kindOf, measuredIn, sumOf } from './measures'

const metric = (current: string, capacity: string | null, unit_hint = 'percent') => ({ current, capacity, pct: null, unit_hint })
const KERNEL: LiveStat = {
  io_read: metric('1', null, 'bytes'), cuda_mem: metric('10', '100', 'bytes'), cuda_util: metric('40', '100'), mock_util: metric('5', '200'), mem: metric('7', '70', 'bytes'),
  cpu_util: metric('150', '200'), cpu_used: metric('9', null, 'msec'),
}

test('every accelerator that tells of itself is drawn, after CPU and memory', () => {
  expect(measuredIn(sumOf([KERNEL]))).toEqual(['cpu_util', 'mem', 'cuda_util', 'cuda_mem', 'mock_util'])
  expect(measuredIn({})).toEqual([])
  expect(kindOf('mem')).toBe('')
})

test('what kernels do is added up', () => {
  expect(sumOf([KERNEL, KERNEL]).cuda_mem).toEqual({ current: 20, capacity: 200, isBytes: true })
})
