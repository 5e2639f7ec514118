/** What a launch form holds, how it is kept in an address, and the request that it makes. */
import type { Image } from '../../api/images'
import { canonicalName } from '../../api/images'
import type { NewSession } from '../../api/sessions'
import type { Slots } from '../../format/slots'
import { parseBytes } from '../../format/numbers'

export interface Form {
  type: 'interactive' | 'batch'
  name: string
  image: string
  command: string
  /** Local time as the browser's own field has it; empty is now. */
  startsAt: string
  preset: string
  group: string
  slots: Slots
  shmem: number | null
  clusterSize: number
  clusterMode: 'single-node' | 'multi-node'
  /** Ids of folders. */
  mounts: string[]
  environ: string
  ports: string[]
  script: string
}

/** What each step of the form is given. */
export interface StepProps {
  form: Form
  put: (change: Partial<Form>) => void
}

export const CUSTOM = ''
const GIB = 2 ** 30

export function emptyForm(type: Form['type']): Form {
  return {
    type, name: freshName(type), image: '', command: '', startsAt: '', preset: CUSTOM, group: '', slots: { cpu: '1', mem: String(GIB) }, shmem: null,
    clusterSize: 1, clusterMode: 'single-node', mounts: [], environ: '', ports: [], script: '',
  }
}

/** A name that nobody else has and that says when. */
export function freshName(type: string, now = new Date()): string {
  const stamp = now.toISOString().slice(5, 19).replace(/[-:]/g, '').replace('T', '-')
  return `${type === 'batch' ? 'job' : 'work'}-${stamp}`
}

/** The form of an address; what is missing or misread there is as in an empty one. */
export function readForm(params: URLSearchParams): Form {
  const empty = emptyForm(params.get('type') === 'batch' ? 'batch' : 'interactive')
  const kept = params.get('form')
  if (!kept) return { ...empty, image: params.get('image') ?? '', mounts: params.get('mount')?.split(',') ?? [] }
  try {
    return { ...empty, ...(JSON.parse(kept) as Partial<Form>) }
  } catch {
    return empty
  }
}

export function linkOf(form: Form, origin: string): string {
  const { name: _, ...shared } = form
  return `${origin}/launch?${new URLSearchParams({ form: JSON.stringify(shared) })}`
}

/** NAME → value. Raises an Error with the number of the line that is none. */
export function parseEnviron(text: string): Record<string, string> {
  const pairs = text.split('\n').flatMap((line, index) => {
    if (!line.trim()) return []
    const match = /^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line)
    if (!match) throw new Error(String(index + 1))
    return [[match[1]!, match[2]!] as [string, string]]
  })
  return Object.fromEntries(pairs)
}

export function requestOf(form: Form, image: Image, project: string, domain: string): NewSession {
  const isBatch = form.type === 'batch'
  return {
    name: form.name.trim(),
    image: canonicalName(image),
    architecture: image.architecture,
    type: form.type,
    group: project,
    domain,
    clusterSize: form.clusterSize,
    clusterMode: form.clusterMode,
    enqueueOnly: true,
    ...(isBatch && { startupCommand: form.command }),
    ...(isBatch && form.startsAt && { starts_at: new Date(form.startsAt).toISOString() }),
    ...(form.script.trim() && { bootstrap_script: form.script }),
    config: {
      resources: form.slots,
      resource_opts: form.shmem ? { shmem: String(form.shmem) } : {},
      scalingGroup: form.group,
      mount_ids: form.mounts,
      mount_id_map: {},
      environ: parseEnviron(form.environ),
      preopen_ports: form.ports.map(Number),
    },
  }
}

/** At least what the image needs. */
export function raisedTo(slots: Slots, image: Image | undefined): Slots {
  if (!image) return slots
  const needed = Object.entries(image.limits).map(([slot, { min }]) => [slot, amount(min)] as const)
  const low = needed.filter(([slot, least]) => least > 0 && Number(slots[slot] ?? 0) < least)
  return low.length ? { ...slots, ...Object.fromEntries(low.map(([slot, least]) => [slot, String(least)])) } : slots
}

function amount(text: string): number {
  const plain = Number(text)
  return Number.isNaN(plain) ? parseBytes(text) || 0 : plain
}

const KEPT = 'launches'
const KEPT_MOST = 5

export function listRecent(): Form[] {
  const text = localStorage.getItem(KEPT)
  return text ? (JSON.parse(text) as Form[]) : []
}

export function keepRecent(form: Form): void {
  const others = listRecent().filter(({ name }) => name !== form.name)
  localStorage.setItem(KEPT, JSON.stringify([form, ...others].slice(0, KEPT_MOST)))
}
