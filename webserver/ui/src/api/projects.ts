/** Projects with their members, and domains. */
import type { Slots } from '../format/slots'
import { ask, change, parseJson } from './graph'
import type { HostPermissions } from './hosts'

export interface Member {
  id: string
  email: string
  full_name: string | null
  role: 'member' | 'admin'
}

export interface Project {
  id: string
  name: string
  description: string | null
  domain: string
  isActive: boolean
  createdAt: string
  limits: Slots
  hosts: HostPermissions
  policy: string
  resourceGroups: string[]
  members: Member[]
}

interface Row {
  id: string
  name: string
  description: string | null
  domain_name: string
  is_active: boolean
  created_at: string
  total_resource_slots: string
  allowed_vfolder_hosts: string
  resource_policy: string
  scaling_groups: string[] | null
  /** Null for a project without anybody. */
  members: Member[] | null
}

const FIELDS = `id name description domain_name is_active created_at total_resource_slots allowed_vfolder_hosts resource_policy
  scaling_groups members { id email full_name role }`

export async function listProjects(): Promise<Project[]> {
  const { groups } = await ask<{ groups: Row[] }>(`{ groups { ${FIELDS} } }`)
  return groups.map((row) => ({
    id: row.id,
    name: row.name,
    description: row.description,
    domain: row.domain_name,
    isActive: row.is_active,
    createdAt: row.created_at,
    limits: parseJson<Slots>(row.total_resource_slots, {}),
    hosts: parseJson<HostPermissions>(row.allowed_vfolder_hosts, {}),
    policy: row.resource_policy,
    resourceGroups: row.scaling_groups ?? [],
    members: row.members ?? [],
  }))
}

export interface ProjectChange {
  name: string
  description: string
  domain: string
  limits: Slots
  hosts: HostPermissions
  policy: string
}

function propsOf({ description, domain, limits, hosts, policy }: ProjectChange) {
  return {
    description,
    domain_name: domain,
    total_resource_slots: JSON.stringify(limits),
    allowed_vfolder_hosts: JSON.stringify(hosts),
    resource_policy: policy,
  }
}

const MODIFY = 'mutation($id: UUID!, $props: ModifyGroupInput!) { modify_group(gid: $id, props: $props) { ok msg } }'

export const createProject = (wanted: ProjectChange): Promise<void> =>
  change('mutation($name: String!, $props: GroupInput!) { create_group(name: $name, props: $props) { ok msg } }', { name: wanted.name, props: propsOf(wanted) })
export const modifyProject = (id: string, wanted: ProjectChange): Promise<void> => change(MODIFY, { id, props: { name: wanted.name, ...propsOf(wanted) } })
export const setProjectActive = (id: string, isActive: boolean): Promise<void> => change(MODIFY, { id, props: { is_active: isActive } })
export const addMembers = (id: string, users: string[]): Promise<void> => change(MODIFY, { id, props: { user_update_mode: 'add', user_uuids: users } })
export const removeMember = (id: string, user: string): Promise<void> => change(MODIFY, { id, props: { user_update_mode: 'remove', user_uuids: [user] } })
export const setProjectAdmin = (id: string, user: string, isAdmin: boolean): Promise<void> =>
  change(MODIFY, { id, props: { admin_update_mode: isAdmin ? 'add' : 'remove', admin_uuids: [user] } })
export const purgeProject = (id: string): Promise<void> => change('mutation($id: UUID!) { purge_group(gid: $id) { ok msg } }', { id })

/** Opens and closes resource groups to a project, so that it has exactly `wanted`. */
export async function setProjectResourceGroups(project: Pick<Project, 'id' | 'resourceGroups'>, wanted: string[]): Promise<void> {
  const act = (verb: string, group: string) =>
    change(`mutation($project: UUID!, $group: String!) { ${verb}_scaling_group_with_user_group(scaling_group: $group, user_group: $project) { ok msg } }`, { project: project.id, group })
  await eachChange(project.resourceGroups, wanted, act)
}

export interface Domain {
  name: string
  description: string | null
  isActive: boolean
  createdAt: string
  limits: Slots
  hosts: HostPermissions
  registries: string[]
  resourceGroups: string[]
}

interface DomainRow {
  name: string
  description: string | null
  is_active: boolean
  created_at: string
  total_resource_slots: string
  allowed_vfolder_hosts: string
  allowed_docker_registries: string[] | null
  scaling_groups: string[] | null
}

export async function listDomains(): Promise<Domain[]> {
  const fields = 'name description is_active created_at total_resource_slots allowed_vfolder_hosts allowed_docker_registries scaling_groups'
  const { domains } = await ask<{ domains: DomainRow[] }>(`{ domains { ${fields} } }`)
  return domains.map((row) => ({
    name: row.name,
    description: row.description,
    isActive: row.is_active,
    createdAt: row.created_at,
    limits: parseJson<Slots>(row.total_resource_slots, {}),
    hosts: parseJson<HostPermissions>(row.allowed_vfolder_hosts, {}),
    registries: row.allowed_docker_registries ?? [],
    resourceGroups: row.scaling_groups ?? [],
  }))
}

export type DomainChange = Pick<Domain, 'name' | 'limits' | 'hosts' | 'registries'> & { description: string }

function domainProps({ description, limits, hosts, registries }: DomainChange) {
  return {
    description,
    total_resource_slots: JSON.stringify(limits),
    allowed_vfolder_hosts: JSON.stringify(hosts),
    allowed_docker_registries: registries,
  }
}

const MODIFY_DOMAIN = 'mutation($name: String!, $props: ModifyDomainInput!) { modify_domain(name: $name, props: $props) { ok msg } }'

export const createDomain = (wanted: DomainChange): Promise<void> =>
  change('mutation($name: String!, $props: DomainInput!) { create_domain(name: $name, props: $props) { ok msg } }', { name: wanted.name, props: domainProps(wanted) })
export const modifyDomain = (wanted: DomainChange): Promise<void> => change(MODIFY_DOMAIN, { name: wanted.name, props: domainProps(wanted) })
export const setDomainActive = (name: string, isActive: boolean): Promise<void> => change(MODIFY_DOMAIN, { name, props: { is_active: isActive } })
export const purgeDomain = (name: string): Promise<void> => change('mutation($name: String!) { purge_domain(name: $name) { ok msg } }', { name })

export async function setDomainResourceGroups(domain: Pick<Domain, 'name' | 'resourceGroups'>, wanted: string[]): Promise<void> {
  const act = (verb: string, group: string) =>
    change(`mutation($domain: String!, $group: String!) { ${verb}_scaling_group_with_domain(domain: $domain, scaling_group: $group) { ok msg } }`, { domain: domain.name, group })
  await eachChange(domain.resourceGroups, wanted, act)
}

/** One after the other, so that a refusal stops what comes after it. */
async function eachChange(before: string[], wanted: string[], act: (verb: 'associate' | 'disassociate', name: string) => Promise<void>): Promise<void> {
  for (const name of wanted.filter((one) => !before.includes(one))) await act('associate', name)
  for (const name of before.filter((one) => !wanted.includes(one))) await act('disassociate', name)
}
