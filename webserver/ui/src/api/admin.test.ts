import { expect, test } from 'vitest'
import { slotsOf, slotValues } from '../parts/slotFields'
import { permissionsFor } from './hosts'
import { limitsOf, limitValues } from '../pages/environments/limits'
import { auditQuery } from './audit'
import { isCustom } from './images'
import { withPositions } from './queue'
import { propsOf } from './registries'
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

test('limits of an image: an edge that is none stays away', () => {
  const values = limitValues({ cpu: { min: '1', max: 'Infinity' }, mem: { min: '0', max: '1024' }, 'cuda.device': { min: '0', max: null } })
  expect(values).toEqual({ 'min:cpu': 1, 'max:mem': 1024 })
  expect(limitsOf({ ...values, 'max:cpu': null, 'max:cuda.device': 2 })).toEqual([
    { key: 'cpu', min: '1', max: '' }, { key: 'mem', min: '', max: '1024' }, { key: 'cuda.device', min: '', max: '2' },
  ])
})

test('images that were made of sessions have no registry', () => {
  expect(isCustom({ registry: '', name: 'custom/abc/work' })).toBe(true)
  expect(isCustom({ registry: 'cr.example.com', name: 'custom/abc/work' })).toBe(false)
})

test('the password of a registry stays unless it is written anew or goes with its username', () => {
  const registry = { hostname: 'cr', url: 'https://cr', type: 'docker', projects: [], username: 'robot', password: '', hasPassword: true, sslVerify: true }
  expect(propsOf(registry).password).toBe('*****')
  expect(propsOf({ ...registry, password: 'new' }).password).toBe('new')
  expect(propsOf({ ...registry, username: '' }).password).toBe('')
})

test('the audit log is asked for beginnings, parts and whole days', () => {
  const asked = auditQuery({ email: 'kim', action: 'user.', since: '2026-01-31', until: '2026-01-31' })
  expect(asked).toMatchObject({ email: '*kim*', action: 'user.*', target_id: undefined })
  expect(Date.parse(asked.until!) - Date.parse(asked.since!)).toBe(24 * 3600 * 1000)
  expect(new Date(asked.since!).getHours()).toBe(0)
})
