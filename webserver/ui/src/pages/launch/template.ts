/** Forms as templates, and templates as forms. What only one of them knows is left out. */
import type { Folder } from '../../api/folders'
import type { Image } from '../../api/images'
import { canonicalName } from '../../api/images'
import type { Content, Template } from '../../api/templates'
import { parseBytes } from '../../format/numbers'
import { isBytes } from '../../format/slots'
import { emptyForm, parseEnviron, type Form } from './form'

export function contentOf(form: Form, image: Image, folders: Folder[]): Content {
  const mounted = folders.filter(({ id }) => form.mounts.includes(id))
  const environ = parseEnviron(form.environ)
  const run = { ...(form.script.trim() && { bootstrap: form.script }), ...(form.type === 'batch' && { startup_command: form.command }) }
  return {
    spec: {
      session_type: form.type,
      kernel: { image: canonicalName(image), architecture: image.architecture, ...(Object.keys(environ).length && { environ }), ...(Object.keys(run).length && { run }) },
      ...(form.group && { scaling_group: form.group }),
      ...(mounted.length && { mounts: Object.fromEntries(mounted.map(({ name }) => [name, ''])) }),
      resources: form.slots,
      ...(form.shmem && { resource_opts: { shmem: String(form.shmem) } }),
    },
  }
}

export function formOf({ content: { spec } }: Template, folders: Folder[]): Form {
  const { kernel } = spec
  const type = spec.session_type === 'batch' ? 'batch' : 'interactive'
  const empty = emptyForm(type)
  const names = Object.keys(spec.mounts ?? {})
  const shmem = parseBytes(spec.resource_opts?.shmem ?? '')
  return {
    ...empty,
    image: kernel.image,
    command: kernel.run?.startup_command ?? '',
    group: spec.scaling_group ?? '',
    slots: { ...empty.slots, ...Object.fromEntries(Object.entries(spec.resources ?? {}).map(([slot, text]) => [slot, plain(slot, String(text))])) },
    shmem: Number.isNaN(shmem) ? null : shmem,
    mounts: folders.filter(({ name }) => names.includes(name)).map(({ id }) => id),
    environ: Object.entries(kernel.environ ?? {}).map(([name, value]) => `${name}=${value}`).join('\n'),
    script: scriptOf(kernel),
  }
}

/** "4g" → "4294967296" */
function plain(slot: string, text: string): string {
  const bytes = isBytes(slot) ? parseBytes(text) : Number.NaN
  return Number.isNaN(bytes) ? text : String(bytes)
}

/** What is cloned comes before the script, as when a session is made of the template itself. */
function scriptOf({ git, run }: Content['spec']['kernel']): string {
  const script = run?.bootstrap ?? ''
  if (!git) return script
  const folder = git.destination_dir ?? git.repository.replace(/\/+$/, '').split(/[/:]/).at(-1)!.replace(/\.git$/, '')
  const clone = `git clone ${git.branch ? `--branch ${quoted(git.branch)} ` : ''}-- ${quoted(git.repository)} ${quoted(folder)}`
  const checkout = git.commit ? [`git -C ${quoted(folder)} checkout --detach ${quoted(git.commit)}`] : []
  const [head, rest] = script.startsWith('#!') ? [script.split('\n')[0]!, script.split('\n').slice(1)] : ['#!/bin/sh', script ? [script] : []]
  return [head, clone, ...checkout, ...rest].join('\n')
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}
