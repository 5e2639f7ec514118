/** Sessions: lists, one with all about it, and what can be done with it. */
import type { Slots } from '../format/slots'
import { askPage, ask, parseJson, type ListName, type Page, type PageAsk } from './graph'
import { call } from './http'

export const LIVE = ['PENDING', 'SCHEDULED', 'PULLING', 'PREPARING', 'RUNNING', 'RUNNING_DEGRADED', 'RESTARTING', 'TERMINATING', 'ERROR'] as const
export const ENDED = ['TERMINATED', 'CANCELLED'] as const
export type SessionStatus = (typeof LIVE)[number] | (typeof ENDED)[number]
export const MOVING: readonly string[] = ['PENDING', 'SCHEDULED', 'PULLING', 'PREPARING', 'RESTARTING', 'TERMINATING']
export type SessionType = 'interactive' | 'batch' | 'inference' | 'system'

export interface App {
  name: string
  protocol: string
}

export interface Metric {
  current: string
  capacity: string | null
  pct: string | null
  unit_hint: string
}
export type LiveStat = Record<string, Metric>

export interface IdleCheck {
  /** Seconds until it counts; null while it does not. */
  remaining: number | null
  remaining_time_type: string
  extra: unknown
}

export interface Kernel {
  id: string
  cluster_hostname: string
  cluster_role: string
  status: SessionStatus
  status_info: string | null
  agent: string | null
  container_id: string | null
  image: string
  occupied: Slots
  live: LiveStat
}

export interface Session {
  id: string
  name: string
  type: SessionType
  image: string
  status: SessionStatus
  statusInfo: string
  /** Why it waits, in a sentence; empty when it does not. */
  waiting: string
  createdAt: string
  terminatedAt: string | null
  slots: Slots
  scalingGroup: string
  projectName: string
  email: string
  accessKey: string
  clusterSize: number
  apps: App[]
  idleChecks: Record<string, IdleCheck>
  mounts: string[]
  priority: number
  result: string
  startupCommand: string | null
  kernels: Kernel[]
}

interface Row {
  id: string
  session_id: string
  name: string
  type: SessionType
  image: string
  status: SessionStatus
  status_info: string | null
  status_data: string | null
  created_at: string
  terminated_at: string | null
  requested_slots: string | null
  occupied_slots: string | null
  scaling_group: string
  group_name: string
  user_email: string
  access_key: string
  cluster_size: number
  service_ports: string | null
  idle_checks: string | null
  mounts: string[] | null
  priority: number
  result: string
  startup_command: string | null
  containers?: {
    id: string
    cluster_hostname: string
    cluster_role: string
    status: SessionStatus
    status_info: string | null
    agent: string | null
    container_id: string | null
    image: string
    occupied_slots: string | null
    live_stat: string | null
  }[]
}

const FIELDS = `id session_id name type image status status_info status_data created_at terminated_at requested_slots
  occupied_slots scaling_group group_name user_email access_key cluster_size service_ports idle_checks mounts priority result`
const KERNEL = 'id cluster_hostname cluster_role status status_info agent container_id image occupied_slots live_stat'
const LIST: ListName = {
  field: 'compute_session_list',
  fields: FIELDS,
  types: { group_id: 'String', access_key: 'String', status: 'String' },
}

export interface Whose {
  /** A project's id; all of them without. */
  group_id?: string | undefined
  access_key?: string | undefined
}

export async function listSessions(page: PageAsk, statuses: readonly string[], whose: Whose, signal?: AbortSignal): Promise<Page<Session>> {
  const found = await askPage<Row>(LIST, page, { ...whose, status: statuses.join(',') }, signal)
  return { total: found.total, items: found.items.map(sessionOf) }
}

export async function fetchSession(id: string): Promise<Session | null> {
  const query = `query($id: UUID!) { compute_session(id: $id) { ${FIELDS} startup_command containers { ${KERNEL} } } }`
  const { compute_session: row } = await ask<{ compute_session: Row | null }>(query, { id })
  return row && sessionOf(row)
}

function sessionOf(row: Row): Session {
  const data = parseJson<{ scheduler?: { detail?: string } }>(row.status_data, {})
  const requested = parseJson<Slots>(row.requested_slots, {})
  return {
    id: row.session_id,
    name: row.name,
    type: row.type,
    image: row.image,
    status: row.status,
    statusInfo: row.status_info ?? '',
    waiting: data.scheduler?.detail ?? '',
    createdAt: row.created_at,
    terminatedAt: row.terminated_at,
    slots: requested,
    scalingGroup: row.scaling_group,
    projectName: row.group_name,
    email: row.user_email,
    accessKey: row.access_key,
    clusterSize: row.cluster_size,
    apps: parseJson<App[]>(row.service_ports, []),
    idleChecks: parseJson(row.idle_checks, {}),
    mounts: row.mounts ?? [],
    priority: row.priority,
    result: row.result,
    startupCommand: row.startup_command ?? null,
    kernels: (row.containers ?? []).map(({ occupied_slots, live_stat, ...kernel }) => ({
      ...kernel,
      occupied: parseJson<Slots>(occupied_slots, {}),
      live: parseJson<LiveStat>(live_stat, {}),
    })),
  }
}

export interface HistoryLine {
  kernel_id: string | null
  generation: number
  from: string | null
  to: string
  event: string
  reason: string | null
  /** Facts of whoever caused it. */
  detail: Record<string, unknown>
  at: string
}
export interface Why {
  status: SessionStatus
  text: string
  waiting: Record<string, unknown> | null
}

const of = (id: string, what = '') => `/func/session/${id}${what}`
const owned = (session: Session) => ({ owner_access_key: session.accessKey })

export async function fetchHistory(session: Session): Promise<HistoryLine[]> {
  const query = { full: true, ...owned(session) }
  return (await call<{ history: HistoryLine[] }>('GET', of(session.id, '/status-history'), { query })).history
}
export const fetchWhy = (session: Session): Promise<Why> => call('GET', of(session.id, '/why'), { query: owned(session) })

export async function fetchLogs(session: Session, kernelId?: string): Promise<string> {
  const query = { ...owned(session), kernel_id: kernelId }
  return (await call<{ result: { logs: string } }>('GET', of(session.id, '/logs'), { query })).result.logs
}
export const endSession = (session: Session, forced = false): Promise<void> =>
  call('DELETE', of(session.id), { query: { ...owned(session), ...(forced && { forced: true }) } })
export const restartSession = (session: Session): Promise<void> => call('PATCH', of(session.id), { query: owned(session) })
export const renameSession = (session: Session, name: string): Promise<void> => call('POST', of(session.id, '/rename'), { body: { name, ...owned(session) } })
export const extendSession = (session: Session): Promise<void> => call('POST', of(session.id, '/extend'), { body: owned(session) })

export interface NewSession {
  name: string
  image: string
  architecture: string
  type: 'interactive' | 'batch'
  group: string
  domain: string
  clusterSize: number
  clusterMode: 'single-node' | 'multi-node'
  enqueueOnly: true
  startupCommand?: string
  starts_at?: string
  bootstrap_script?: string
  config: {
    resources: Record<string, string>
    resource_opts: { shmem?: string }
    scalingGroup: string
    mount_ids: string[]
    mount_id_map: Record<string, string>
    environ: Record<string, string>
    preopen_ports: number[]
  }
}
export interface Created {
  sessionId: string
  sessionName: string
  status: string
}
export const createSession = (body: NewSession): Promise<Created> => call('POST', '/func/session', { body })

export interface AppGate {
  token: string
  wsproxy_addr: string
}

/** Starts an app and gives the address to open it at. */
export async function openApp(session: Session, app: App, loginSession: string): Promise<string> {
  const body = { login_session_token: loginSession, app: app.name, ...owned(session) }
  const gate = await call<AppGate>('POST', of(session.id, '/start-service'), { body })
  const base = gate.wsproxy_addr.replace(/\/$/, '')
  const query = new URLSearchParams({ app: app.name, protocol: app.protocol })
  const answer = await fetch(`${base}/v2/proxy/${gate.token}/${session.id}/add?${query}`, { headers: { Accept: 'application/json' }, credentials: 'include' })
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
  return ((await answer.json()) as { url: string }).url
}
