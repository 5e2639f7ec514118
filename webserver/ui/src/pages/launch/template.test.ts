import { expect, test } from 'vitest'
import type { Folder } from '../../api/folders'
import type { Image } from '../../api/images'
import type { Content, Template } from '../../api/templates'
import { emptyForm } from './form'
import { contentOf, formOf } from './template'

const IMAGE = { registry: 'cr.example.com', name: 'stable/python', tag: '3.11', architecture: 'x86_64' } as Image
const FOLDERS = [{ id: 'a', name: 'data' }, { id: 'b', name: 'code' }] as Folder[]
const templateOf = (content: Content) => ({ content }) as Template

test('a form that was saved comes back', () => {
  const form = {
    ...emptyForm('batch'), image: 'cr.example.com/stable/python:3.11', command: 'make', group: 'gpu', slots: { cpu: '2', mem: '1024' }, shmem: 64, mounts: ['b'], environ: 'A=1\nB=x=y',
    script: '#!/bin/bash\necho hi',
  }
  const back = formOf(templateOf(contentOf(form, IMAGE, FOLDERS)), FOLDERS)
  expect({ ...back, name: form.name }).toEqual(form)
})

test('amounts are read as people write them, and folders that are gone are left out', () => {
  const back = formOf(templateOf({ spec: { session_type: 'interactive', kernel: { image: 'x' }, resources: { mem: '4g', cpu: '1' }, mounts: { gone: '', data: '/home/work/d' }, resource_opts: { shmem: '64m' } } }), FOLDERS)
  expect(back).toMatchObject({ slots: { cpu: '1', mem: String(4 * 2 ** 30) }, mounts: ['a'], shmem: 64 * 2 ** 20 })
})

test('what a template clones comes before its script', () => {
  const kernel = { image: 'x', run: { bootstrap: '#!/bin/bash\nmake' }, git: { repository: "https://example.com/it's.git", branch: 'main', commit: 'abcdef0' } }
  const { script } = formOf(templateOf({ spec: { session_type: 'interactive', kernel } }), [])
  expect(script.split('\n')).toEqual([
    '#!/bin/bash', "git clone --branch 'main' -- 'https://example.com/it'\\''s.git' 'it'\\''s'", "git -C 'it'\\''s' checkout --detach 'abcdef0'", 'make',
  ])
})
