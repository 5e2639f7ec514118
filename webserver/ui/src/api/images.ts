/** Images: what sessions may be made of. */
import { ask, change } from './graph'
import { ApiError } from './http'

export interface Image {
  id: string
  name: string
  tag: string
  registry: string
  architecture: string
  isLocal: boolean
  sizeBytes: number
  installed: boolean
  labels: Record<string, string>
  limits: Record<string, { min: string; max: string | null }>
  accelerators: string[]
  /** Other names that mean it. */
  aliases: string[]
  digest: string
  /** The nodes that have it; told to superadmins alone. */
  agents: string[]
}

interface Row {
  id: string
  name: string
  tag: string
  registry: string
  architecture: string
  is_local: boolean
  size_bytes: number | string | null
  installed: boolean
  labels: { key: string; value: string }[]
  resource_limits: { key: string; min: string; max: string | null }[]
  supported_accelerators: string[]
  aliases: string[]
  digest: string | null
  installed_agents: string[]
}

const FIELDS = `id name tag registry architecture is_local size_bytes installed supported_accelerators aliases digest installed_agents
  labels { key value } resource_limits { key min max }`

export async function listImages(): Promise<Image[]> {
  const { images } = await ask<{ images: Row[] }>(`{ images { ${FIELDS} } }`)
  return images.map((row) => ({
    id: row.id,
    name: row.name,
    tag: row.tag,
    registry: row.registry,
    architecture: row.architecture,
    isLocal: row.is_local,
    sizeBytes: Number(row.size_bytes ?? 0),
    installed: row.installed,
    labels: Object.fromEntries(row.labels.map(({ key, value }) => [key, value])),
    limits: Object.fromEntries(row.resource_limits.map(({ key, min, max }) => [key, { min, max }])),
    accelerators: row.supported_accelerators,
    aliases: row.aliases,
    digest: row.digest ?? '',
    agents: row.installed_agents ?? [],
  }))
}

/** As sessions name it. */
export function canonicalName({ registry, name, tag }: Pick<Image, 'registry' | 'name' | 'tag'>): string {
  return `${registry ? `${registry}/` : ''}${name}:${tag}`
}

/** "python:3.12" of any long name. */
export function shortName(image: string): string {
  return image.split('/').at(-1) ?? image
}

const CUSTOM = 'custom/'

/** Whether it was made of a session: it is its owner's, and on one node. */
export function isCustom({ registry, name }: Pick<Image, 'registry' | 'name'>): boolean {
  return registry === '' && name.startsWith(CUSTOM)
}

/** Whether a registry has it: only then a node can get it back. */
export function isFetched({ registry }: Pick<Image, 'registry'>): boolean {
  return registry !== ''
}

export interface Limit {
  key: string
  min: string
  max: string
}

export const forgetImage = (id: string): Promise<void> => change('mutation($id: String!) { forget_image_by_id(image_id: $id) { ok msg } }', { id })
export const aliasImage = (image: Image, alias: string): Promise<void> =>
  change('mutation($alias: String!, $target: String!, $of: String!) { alias_image(alias: $alias, target: $target, architecture: $of) { ok msg } }', {
    alias, target: image.id, of: image.architecture,
  })
export const dealiasImage = (alias: string): Promise<void> => change('mutation($alias: String!) { dealias_image(alias: $alias) { ok msg } }', { alias })
/** All limits that it shall have; what is left out has none. */
export const limitImage = (image: Image, limits: Limit[]): Promise<void> =>
  change('mutation($target: String!, $of: String!, $props: ModifyImageInput!) { modify_image(target: $target, architecture: $of, props: $props) { ok msg } }', {
    target: image.id, of: image.architecture, props: { resource_limits: limits },
  })

/** The background task that brings images to nodes, or takes them from there. */
export async function moveImages(isBrought: boolean, images: Image[], agents: string[]): Promise<string> {
  const name = isBrought ? 'preload_image' : 'unload_image'
  const query = `mutation($images: [String]!, $agents: [String]!) { ${name}(references: $images, target_agents: $agents) { ok msg task_id } }`
  return taskOf(await ask<Record<string, Begun>>(query, { images: images.map(canonicalName), agents }))
}

/** The background task that looks for images in a registry; without one in all of them and on the nodes. */
export async function rescanImages(registry: string | null): Promise<string> {
  const query = 'mutation($registry: String) { rescan_images(registry: $registry) { ok msg task_id } }'
  return taskOf(await ask<Record<string, Begun>>(query, { registry }))
}

interface Begun {
  ok: boolean
  msg: string
  task_id: string | null
}

function taskOf(answer: Record<string, Begun>): string {
  const [begun] = Object.values(answer)
  if (!begun?.ok || !begun.task_id) throw new ApiError(400, begun?.msg || 'Refused.', '', 'graphql', '', null)
  return begun.task_id
}
