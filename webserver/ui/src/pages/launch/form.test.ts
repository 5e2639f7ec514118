import { describe, expect, test } from 'vitest'
import type { Image } from '../../api/images'
import { emptyForm, freshName, linkOf, parseEnviron, raisedTo, readForm, requestOf } from './form'

const IMAGE: Image = {
  id: 'i', name: 'stable/python', tag: '3.12', registry: 'cr.example.org', architecture: 'x86_64', isLocal: false, sizeBytes: 1, installed: true,
  labels: {}, limits: { cpu: { min: '2', max: null }, mem: { min: '512m', max: null } }, accelerators: [], aliases: [], digest: '', agents: [],
}

test('a link leads to the same form under a name of its own', () => {
  const form = { ...emptyForm('batch'), name: 'mine', command: 'make', slots: { cpu: '4' }, mounts: ['a'] }
  const again = readForm(new URL(linkOf(form, 'http://x')).searchParams)
  expect({ ...again, name: 'mine' }).toEqual(form)
})
test('an address that cannot be read is an empty form', () => {
  expect(readForm(new URLSearchParams('form={')).type).toBe('interactive')
  expect(readForm(new URLSearchParams('type=batch')).type).toBe('batch')
})
test('names tell when', () => {
  expect(freshName('batch', new Date('2026-01-02T03:04:05Z'))).toBe('job-0102-030405')
})

describe('environment variables', () => {
  test('are read one a line, values as they are', () => {
    expect(parseEnviron('A=1\n\n B_2=x=y z')).toEqual({ A: '1', B_2: 'x=y z' })
  })
  test('the line that is none is named', () => {
    expect(() => parseEnviron('A=1\n2B=1')).toThrow('2')
  })
})

test('a request says what the form says', () => {
  const form = { ...emptyForm('interactive'), name: ' w ', group: 'gpu', slots: { cpu: '2' }, shmem: 64, mounts: ['f1'], environ: 'A=1', ports: ['8000'] }
  expect(requestOf(form, IMAGE, 'team', 'default')).toEqual({
    name: 'w', image: 'cr.example.org/stable/python:3.12', architecture: 'x86_64', type: 'interactive', group: 'team', domain: 'default',
    clusterSize: 1, clusterMode: 'single-node', enqueueOnly: true,
    config: { resources: { cpu: '2' }, resource_opts: { shmem: '64' }, scalingGroup: 'gpu', mount_ids: ['f1'], mount_id_map: {}, environ: { A: '1' }, preopen_ports: [8000] },
  })
})
test('amounts are raised to what an image needs, never lowered', () => {
  expect(raisedTo({ cpu: '1', mem: '1024' }, IMAGE)).toEqual({ cpu: '2', mem: String(512 * 2 ** 20) })
  const enough = { cpu: '4', mem: String(2 ** 30) }
  expect(raisedTo(enough, IMAGE)).toBe(enough)
})
