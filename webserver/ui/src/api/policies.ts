/** Resource policies of keypairs, users and projects. */
import type { Slots } from '../format/slots'
import { ask, change, parseJson } from './graph'
import type { HostPermissions } from './hosts'

export const POLICY_KINDS = ['keypair', 'user', 'project'] as const
export type PolicyKind = (typeof POLICY_KINDS)[number]

export interface Policy {
  name: string
  createdAt: string
  /** Of keypair policies only. */
  slots: Slots
  unspecified: 'LIMITED' | 'UNLIMITED'
  hosts: HostPermissions
  sessionsMax: number | null
  pendingMax: number | null
  containersMax: number | null
  /** Seconds; 0 is for ever. */
  lifetime: number | null
  idleSeconds: number | null
  /** Of user and project policies only; 0 is no limit. */
  foldersMax: number | null
  /** Bytes; null is no limit. */
  quota: number | null
}

interface Row {
  name: string
  created_at: string
  total_resource_slots?: string
  default_for_unspecified?: Policy['unspecified']
  allowed_vfolder_hosts?: string
  max_concurrent_sessions?: number
  max_pending_session_count?: number | null
  max_containers_per_session?: number
  max_session_lifetime?: number
  idle_timeout?: number | string
  max_vfolder_count?: number | null
  max_quota_scope_size?: number | string | null
}

const FIELDS: Record<PolicyKind, string> = {
  keypair: `name created_at total_resource_slots default_for_unspecified allowed_vfolder_hosts max_concurrent_sessions max_pending_session_count
    max_containers_per_session max_session_lifetime idle_timeout`,
  user: 'name created_at max_vfolder_count max_quota_scope_size',
  project: 'name created_at max_vfolder_count max_quota_scope_size',
}

export async function listPolicies(kind: PolicyKind): Promise<Policy[]> {
  const { policies } = await ask<{ policies: Row[] }>(`{ policies: ${kind}_resource_policies { ${FIELDS[kind]} } }`)
  return policies.map((row) => ({
    name: row.name,
    createdAt: row.created_at,
    slots: parseJson<Slots>(row.total_resource_slots, {}),
    unspecified: row.default_for_unspecified ?? 'UNLIMITED',
    hosts: parseJson<HostPermissions>(row.allowed_vfolder_hosts, {}),
    sessionsMax: row.max_concurrent_sessions ?? null,
    pendingMax: row.max_pending_session_count ?? null,
    containersMax: row.max_containers_per_session ?? null,
    lifetime: row.max_session_lifetime ?? null,
    idleSeconds: row.idle_timeout === undefined ? null : Number(row.idle_timeout),
    foldersMax: row.max_vfolder_count ?? null,
    quota: quotaOf(row.max_quota_scope_size),
  }))
}

/** On the wire -1 is no limit. */
function quotaOf(size: number | string | null | undefined): number | null {
  return size === null || size === undefined || Number(size) < 0 ? null : Number(size)
}

function propsOf(kind: PolicyKind, policy: Policy) {
  if (kind !== 'keypair') return { max_vfolder_count: policy.foldersMax ?? 0, max_quota_scope_size: policy.quota ?? -1 }
  return {
    total_resource_slots: JSON.stringify(policy.slots),
    default_for_unspecified: policy.unspecified,
    allowed_vfolder_hosts: JSON.stringify(policy.hosts),
    max_concurrent_sessions: policy.sessionsMax,
    max_pending_session_count: policy.pendingMax,
    max_containers_per_session: policy.containersMax,
    max_session_lifetime: policy.lifetime ?? 0,
    idle_timeout: policy.idleSeconds ?? 0,
  }
}

const INPUTS: Record<PolicyKind, string> = { keypair: 'KeyPair', user: 'User', project: 'Project' }

function put(verb: 'create' | 'modify', kind: PolicyKind, policy: Policy): Promise<void> {
  const input = `${verb === 'create' ? 'Create' : 'Modify'}${INPUTS[kind]}ResourcePolicyInput!`
  const query = `mutation($name: String!, $props: ${input}) { ${verb}_${kind}_resource_policy(name: $name, props: $props) { ok msg } }`
  return change(query, { name: policy.name, props: propsOf(kind, policy) })
}
export const createPolicy = (kind: PolicyKind, policy: Policy): Promise<void> => put('create', kind, policy)
export const modifyPolicy = (kind: PolicyKind, policy: Policy): Promise<void> => put('modify', kind, policy)
export const deletePolicy = (kind: PolicyKind, name: string): Promise<void> =>
  change(`mutation($name: String!) { delete_${kind}_resource_policy(name: $name) { ok msg } }`, { name })
