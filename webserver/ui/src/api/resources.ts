/** What may be used and is left: resource groups, presets, slots. */
import type { Slots } from '../format/slots'
import { call } from './http'

export interface Preset {
  name: string
  resource_slots: Slots
  shared_memory: string | null
  allocatable: boolean
  /** Why it would wait now. */
  reason?: string
}

export interface Room {
  keypair_limits: Slots
  keypair_using: Slots
  keypair_remaining: Slots
  group_limits: Slots
  group_using: Slots
  group_remaining: Slots
  scaling_group_remaining: Slots
  scaling_groups: Record<string, { using: Slots; remaining: Slots }>
  presets: Preset[]
}

/** A session that somebody thinks of. */
export interface Wanted {
  resources: Slots
  cluster_size: number
  cluster_mode: 'single-node' | 'multi-node'
  architecture: string
}
export interface Verdict {
  allocatable: boolean
  /** Why it would wait now, or be refused. */
  reason?: string
  /** Whether a wait helps; false where it would be refused. */
  possible?: boolean
}

export interface ResourceGroup {
  name: string
  is_public: boolean
}

export const fetchRoom = (project: string): Promise<Room> => call('POST', '/func/resource/check-presets', { body: { group: project } })

/** The room in one resource group, and what the planner would do with a session there now. */
export const fetchPlan = (project: string, scalingGroup: string, wanted: Wanted): Promise<Room & { wanted: Verdict }> =>
  call('POST', '/func/resource/check-presets', { body: { group: project, scaling_group: scalingGroup, wanted } })

export async function listResourceGroups(project: string): Promise<ResourceGroup[]> {
  return (await call<{ scaling_groups: ResourceGroup[] }>('GET', '/func/scaling-groups', { query: { group: project } })).scaling_groups
}

export interface CurvePoint {
  date: number
  num_sessions: { value: number }
  cpu_allocated: { value: number }
  mem_allocated: { value: number }
  gpu_allocated: { value: number }
  io_read_bytes: { value: number }
  io_write_bytes: { value: number }
  disk_used: { value: number }
}
export const fetchOwnCurves = (): Promise<CurvePoint[]> => call('GET', '/func/resource/stats/user/month')
export const fetchAllCurves = (): Promise<CurvePoint[]> => call('GET', '/func/resource/stats/admin/month')
