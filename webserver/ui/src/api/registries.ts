/** Registries that images come from. */
import { ask } from './graph'

export const REGISTRY_KINDS = ['docker', 'harbor2'] as const
/** Stands for a password that nobody is shown; given back, the one that is kept stays. */
const HIDDEN = '*****'

export interface Registry {
  /** What the names of its images begin with. */
  hostname: string
  url: string
  type: string
  /** Those that are looked into; none are all of them. */
  projects: string[]
  username: string
  /** Empty where there is none or it is not shown. */
  password: string
  hasPassword: boolean
  sslVerify: boolean
}

interface Row {
  hostname: string
  config: { url: string; type: string; project: string[]; username: string | null; password: string | null; ssl_verify: boolean }
}

export async function listRegistries(): Promise<Registry[]> {
  const query = '{ container_registries { hostname config { url type project username password ssl_verify } } }'
  const { container_registries: rows } = await ask<{ container_registries: Row[] }>(query)
  return rows.map(({ hostname, config }) => ({
    hostname, url: config.url, type: config.type, projects: config.project, username: config.username ?? '', password: '', hasPassword: config.password !== null,
    sslVerify: config.ssl_verify,
  }))
}

export const addRegistry = (registry: Registry): Promise<unknown> =>
  ask('mutation($hostname: String!, $props: CreateContainerRegistryInput!) { create_container_registry(hostname: $hostname, props: $props) { container_registry { id } } }', {
    hostname: registry.hostname, props: propsOf(registry),
  })
export const modifyRegistry = (registry: Registry): Promise<unknown> =>
  ask('mutation($hostname: String!, $props: ModifyContainerRegistryInput!) { modify_container_registry(hostname: $hostname, props: $props) { container_registry { id } } }', {
    hostname: registry.hostname, props: propsOf(registry),
  })
/** Its images stay known. */
export const removeRegistry = (hostname: string): Promise<unknown> =>
  ask('mutation($hostname: String!) { delete_container_registry(hostname: $hostname) { container_registry { id } } }', { hostname })

/** A password that was left empty stays as it is, unless the username is taken away too. */
export function propsOf({ url, type, projects, username, password, hasPassword, sslVerify }: Registry) {
  const kept = hasPassword && username ? HIDDEN : ''
  return { url, type, project: projects, username, password: password || kept, ssl_verify: sslVerify }
}
