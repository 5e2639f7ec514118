/** Storage hosts and how full they are. */
import { askPage, parseJson, type ListName } from './graph'

export interface Volume {
  id: string
  backend: string
  path: string
  capabilities: string[]
  /** Bytes. */
  capacity: number
  used: number
  performance: Record<string, number>
}

interface Row {
  id: string
  backend: string
  path: string
  capabilities: string[]
  usage: string | null
  performance_metric: string | null
}

const LIST: ListName = { field: 'storage_volume_list', fields: 'id backend path capabilities usage performance_metric' }
const VOLUMES_MAX = 100

export async function listVolumes(): Promise<Volume[]> {
  const { items } = await askPage<Row>(LIST, { limit: VOLUMES_MAX, offset: 0 })
  return items.map((row) => {
    const usage = parseJson<{ capacity_bytes?: number; used_bytes?: number }>(row.usage, {})
    return {
      id: row.id,
      backend: row.backend,
      path: row.path,
      capabilities: row.capabilities,
      capacity: usage.capacity_bytes ?? 0,
      used: usage.used_bytes ?? 0,
      performance: parseJson<Record<string, number>>(row.performance_metric, {}),
    }
  })
}
