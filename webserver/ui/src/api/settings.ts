/** What superadmins may change while the cluster runs: pairs of the configuration, and what they mean. */
import { call } from './http'

export type Value = string | string[]
export type SettingKind = 'flag' | 'days' | 'percent' | 'span' | 'choice' | 'choices' | 'names'

export interface Setting {
  /** Without dots; its texts are below `settings.of`. */
  name: string
  key: string
  kind: SettingKind
  /** What holds while the key is not set; null is no limit, or nothing. */
  byDefault: Value | null
  options?: readonly string[]
}

const IDLE = 'config/idle/'
const USE = `${IDLE}checkers/utilization/`

/** The words of the API for what ends idle sessions. */
export const CHECKERS = ['network_timeout', 'session_lifetime', 'utilization'] as const
const OWNERS = ['user', 'group'] as const

export const SETTINGS = {
  accounts: [
    { name: 'signup', key: 'config/auth/signup', kind: 'flag', byDefault: 'false' },
    { name: 'passwordAge', key: 'config/auth/max_password_age', kind: 'days', byDefault: null },
    { name: 'projectUse', key: 'config/api/resources/group_resource_visibility', kind: 'flag', byDefault: 'true' },
  ],
  folders: [
    { name: 'defaultHost', key: 'volumes/default_host', kind: 'choice', byDefault: null },
    // Names that are there, whatever their values.
    { name: 'owners', key: 'volumes/_types', kind: 'names', byDefault: [...OWNERS], options: OWNERS },
  ],
  idle: [
    { name: 'checkers', key: `${IDLE}enabled`, kind: 'choices', byDefault: [...CHECKERS], options: CHECKERS },
    { name: 'networkTimeout', key: `${IDLE}checkers/network_timeout/threshold`, kind: 'span', byDefault: null },
    { name: 'operator', key: `${USE}thresholds-check-operator`, kind: 'choice', byDefault: 'and', options: ['and', 'or'] },
    { name: 'window', key: `${USE}time-window`, kind: 'span', byDefault: '12h' },
    { name: 'grace', key: `${USE}initial-grace-period`, kind: 'span', byDefault: '5m' },
  ],
} as const satisfies Record<string, readonly Setting[]>

/** One for each resource that a session's use is measured of. */
export function thresholdOf(resource: string): Setting {
  return { name: 'threshold', key: `${USE}resource-thresholds/${resource}/average`, kind: 'percent', byDefault: null }
}

/** `cpu_util`, `mem`, and two for each kind of accelerator. */
export function measuredOf(slots: readonly string[]): string[] {
  const kinds = new Set(slots.filter((slot) => slot.includes('.')).map((slot) => slot.split('.')[0]!))
  return ['cpu_util', 'mem', ...[...kinds].sort().flatMap((kind) => [`${kind}_util`, `${kind}_mem`])]
}

type Tree = { [word: string]: string | Tree }
/** Key → value. */
export type Pairs = Record<string, string>

/** All that is set; what nobody writes by hand is left out. */
export async function fetchPairs(): Promise<Pairs> {
  const [config, volumes] = await Promise.all([fetchTree('config'), fetchTree('volumes')])
  const { proxies: _, ...others } = volumes
  return { ...pairsOf(config, 'config'), ...pairsOf(others, 'volumes') }
}

async function fetchTree(key: string): Promise<Tree> {
  return (await call<{ result: Tree }>('POST', '/func/config/get', { body: { key, prefix: true } })).result
}

export function pairsOf(tree: Tree, path: string): Pairs {
  return Object.entries(tree).reduce<Pairs>((found, [word, value]) => {
    const key = word ? `${path}/${word}` : path
    return { ...found, ...(typeof value === 'string' ? { [key]: value } : pairsOf(value, key)) }
  }, {})
}

/** What a setting is set to; null while its default holds. */
export function valueOf(pairs: Pairs, { key, kind }: Setting): Value | null {
  if (kind === 'names') {
    const names = Object.keys(pairs).filter((each) => each.startsWith(`${key}/`)).map((each) => each.slice(key.length + 1))
    return names.length ? names : null
  }
  const text = pairs[key]
  if (text === undefined) return null
  if (kind === 'flag') return String(YES.test(text.trim()))
  return kind === 'choices' ? text.split(',').map((word) => word.trim()).filter(Boolean) : text
}

const YES = /^(true|yes|on|1)$/i
const SPAN = /^\d+(\.\d+)? ?[smhdw]?$/
const RANGES: Partial<Record<SettingKind, [number, number]>> = { days: [1, 99_999], percent: [0, 100] }

/** Whether the managers can read it. */
export function isSound({ kind }: Setting, value: Value): boolean {
  const range = RANGES[kind]
  if (range) return value !== '' && Number(value) >= range[0] && Number(value) <= range[1] && (kind !== 'days' || Number.isInteger(Number(value)))
  if (kind === 'span') return SPAN.test(String(value).trim())
  return kind === 'choices' || value.length > 0
}

export async function setSetting(setting: Setting, value: Value): Promise<void> {
  const { key, kind } = setting
  if (kind === 'names') return setNames(key, value as string[])
  return set(key, Array.isArray(value) ? value.join(',') : value)
}

/** New names first, old ones last: where a call between fails there are too many of them, never none. */
async function setNames(key: string, names: string[]): Promise<void> {
  const before = Object.keys(await fetchTree(key)).filter((name) => name !== '')
  await set(key, Object.fromEntries(names.map((name) => [name, 'true'])))
  for (const name of before.filter((one) => !names.includes(one))) await unset(`${key}/${name}`, false)
}

/** Its default holds again. */
export const unsetSetting = ({ key, kind }: Setting): Promise<void> => unset(key, kind === 'names')

const unset = (key: string, isPrefix: boolean): Promise<void> => call('POST', '/func/config/delete', { body: { key, prefix: isPrefix } })

const set = (key: string, value: unknown): Promise<void> => call('POST', '/func/config/set', { body: { key, value } })
