/** Images: what sessions may be made of. */
import { ask } from './graph'

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
}

const FIELDS = `id name tag registry architecture is_local size_bytes installed supported_accelerators
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
