/** Nodes that run sessions, and the groups that they are in. */
import type { Slots } from '../format/slots'
import { ask, askPage, askWhole, change, parseJson, type ListName, type Page, type PageAsk } from './graph'
import type { Metric } from './sessions'

export const AGENT_STATUSES = ['ALIVE', 'LOST', 'RESTARTING', 'TERMINATED'] as const

export interface Agent {
  id: string
  status: (typeof AGENT_STATUSES)[number]
  statusChanged: string | null
  resourceGroup: string
  schedulable: boolean
  capacity: Slots
  occupied: Slots
  address: string
  architecture: string
  version: string
  firstContact: string | null
  containers: number
  /** What the whole node is measured to do. */
  live: Record<string, Metric>
}

interface Row {
  id: string
  status: Agent['status']
  status_changed: string | null
  scaling_group: string
  schedulable: boolean
  available_slots: string
  occupied_slots: string
  addr: string
  architecture: string
  version: string
  first_contact: string | null
  container_count: number
  live_stat: string | null
}

const LIST: ListName = {
  field: 'agent_list',
  fields: 'id status status_changed scaling_group schedulable available_slots occupied_slots addr architecture version first_contact container_count live_stat',
  types: { status: 'String' },
}

export async function listAgents(page: PageAsk, status?: string, signal?: AbortSignal): Promise<Page<Agent>> {
  const found = await askPage<Row>(LIST, page, { status: status ?? null }, signal)
  return { total: found.total, items: found.items.map(agentOf) }
}

const NAMES: ListName = { field: 'agent_list', fields: 'id', types: { status: 'String' } }

/** All that are there, by their names. */
export async function listAgentIds(): Promise<string[]> {
  const rows = await askWhole<{ id: string }>(NAMES, { order: 'id' }, { status: 'ALIVE' })
  return rows.map(({ id }) => id)
}

function agentOf(row: Row): Agent {
  return {
    id: row.id,
    status: row.status,
    statusChanged: row.status_changed,
    resourceGroup: row.scaling_group,
    schedulable: row.schedulable,
    capacity: parseJson<Slots>(row.available_slots, {}),
    occupied: parseJson<Slots>(row.occupied_slots, {}),
    address: row.addr,
    architecture: row.architecture,
    version: row.version,
    firstContact: row.first_contact,
    containers: row.container_count,
    live: parseJson<{ node?: Agent['live'] }>(row.live_stat, {}).node ?? {},
  }
}

export const modifyAgent = (id: string, props: { schedulable: boolean }): Promise<void> =>
  change('mutation($id: String!, $props: ModifyAgentInput!) { modify_agent(id: $id, props: $props) { ok msg } }', { id, props })

export interface ResourceGroupDetail {
  name: string
  description: string
  is_active: boolean
  is_public: boolean
  wsproxy_addr: string | null
  driver: string
  scheduler: string
  scheduler_opts: string
  use_host_network: boolean
  created_at: string
}

export async function listAllResourceGroups(): Promise<ResourceGroupDetail[]> {
  const fields = 'name description is_active is_public wsproxy_addr driver scheduler scheduler_opts use_host_network created_at'
  return (await ask<{ scaling_groups: ResourceGroupDetail[] }>(`{ scaling_groups { ${fields} } }`)).scaling_groups
}

export type ResourceGroupChange = Omit<ResourceGroupDetail, 'name' | 'created_at'>

export const createResourceGroup = (name: string, props: ResourceGroupChange): Promise<void> =>
  change('mutation($name: String!, $props: CreateScalingGroupInput!) { create_scaling_group(name: $name, props: $props) { ok msg } }', { name, props })
export const modifyResourceGroup = (name: string, props: Partial<ResourceGroupChange>): Promise<void> =>
  change('mutation($name: String!, $props: ModifyScalingGroupInput!) { modify_scaling_group(name: $name, props: $props) { ok msg } }', { name, props })
export const deleteResourceGroup = (name: string): Promise<void> => change('mutation($name: String!) { delete_scaling_group(name: $name) { ok msg } }', { name })
