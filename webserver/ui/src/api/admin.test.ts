import { expect, test } from 'vitest'
import { slotsOf, slotValues } from '../parts/slotFields'
import { permissionsFor } from './hosts'
import { withPositions } from './queue'
import type { Session } from './sessions'

test('slots keep their limits, and unlimited ones stay away', () => {
  expect(slotValues({ cpu: '4', mem: 'Infinity' })).toEqual({ 'slot:cpu': 4 })
  expect(slotsOf({ name: 'x', 'slot:cpu': 4, 'slot:mem': null })).toEqual({ cpu: '4' })
})

test('hosts that stay keep what they allowed', () => {
  expect(permissionsFor(['a', 'b'], { a: ['mount'], c: ['mount'] }, ['mount', 'create'])).toEqual({ a: ['mount'], b: ['mount', 'create'] })
})

test('places are counted in each resource group', () => {
  const waiting = ['x', 'y', 'x'].map((scalingGroup) => ({ scalingGroup }) as Session)
  expect(withPositions(waiting).map(({ position }) => position)).toEqual([1, 1, 2])
})
