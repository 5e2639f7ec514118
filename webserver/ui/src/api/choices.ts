/** The names that forms of administrators offer, all at once. */
import { ask } from './graph'
import { call } from './http'

export interface Choices {
  domains: string[]
  projects: { id: string; name: string; domain_name: string }[]
  keypairPolicies: string[]
  userPolicies: string[]
  projectPolicies: string[]
  resourceGroups: string[]
  hosts: string[]
  hostPermissions: string[]
  /** Slot → its kind: `bytes`, `count` or `unique`. */
  slots: Record<string, string>
}

interface Named {
  name: string
}
interface Answer {
  domains: Named[]
  groups: Choices['projects']
  keypair_resource_policies: Named[]
  user_resource_policies: Named[]
  project_resource_policies: Named[]
  scaling_groups?: Named[]
  storage_volume_list?: { items: { id: string }[] }
  vfolder_host_permissions: { vfolder_host_permission_list: string[] }
}

const HOSTS_MAX = 100
const OF_ALL = `domains { name } groups { id name domain_name } keypair_resource_policies { name } user_resource_policies { name }
  project_resource_policies { name } vfolder_host_permissions { vfolder_host_permission_list }`
const OF_SUPERADMINS = `scaling_groups { name } storage_volume_list(limit: ${HOSTS_MAX}, offset: 0) { items { id } }`

export async function fetchChoices(isSuperadmin: boolean): Promise<Choices> {
  const [answer, slots] = await Promise.all([
    ask<Answer>(`{ ${OF_ALL} ${isSuperadmin ? OF_SUPERADMINS : ''} }`),
    call<Record<string, string>>('GET', '/func/config/resource-slots'),
  ])
  return {
    domains: answer.domains.map(nameOf),
    projects: answer.groups,
    keypairPolicies: answer.keypair_resource_policies.map(nameOf),
    userPolicies: answer.user_resource_policies.map(nameOf),
    projectPolicies: answer.project_resource_policies.map(nameOf),
    resourceGroups: answer.scaling_groups?.map(nameOf) ?? [],
    hosts: answer.storage_volume_list?.items.map(({ id }) => id) ?? [],
    hostPermissions: answer.vfolder_host_permissions.vfolder_host_permission_list,
    slots,
  }
}

function nameOf({ name }: Named): string {
  return name
}
