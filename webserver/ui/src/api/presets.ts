/** Resources that people pick by one name. */
import type { Slots } from '../format/slots'
import { change } from './graph'
import { call } from './http'

export interface ResourcePreset {
  name: string
  slots: Slots
  /** Bytes; null is as much as the image wants. */
  sharedMemory: number | null
}

interface Row {
  name: string
  resource_slots: Slots
  shared_memory: string | null
}

export async function listPresets(): Promise<ResourcePreset[]> {
  const { presets } = await call<{ presets: Row[] }>('GET', '/func/resource/presets')
  return presets.map(({ name, resource_slots, shared_memory }) => ({ name, slots: resource_slots, sharedMemory: shared_memory === null ? null : Number(shared_memory) }))
}

export const createPreset = (preset: ResourcePreset): Promise<void> =>
  change('mutation($name: String!, $props: CreateResourcePresetInput!) { create_resource_preset(name: $name, props: $props) { ok msg } }', { name: preset.name, props: propsOf(preset) })
export const modifyPreset = (preset: ResourcePreset): Promise<void> =>
  change('mutation($name: String!, $props: ModifyResourcePresetInput!) { modify_resource_preset(name: $name, props: $props) { ok msg } }', { name: preset.name, props: propsOf(preset) })
export const deletePreset = (name: string): Promise<void> => change('mutation($name: String!) { delete_resource_preset(name: $name) { ok msg } }', { name })

function propsOf({ slots, sharedMemory }: ResourcePreset) {
  return { resource_slots: JSON.stringify(slots), shared_memory: sharedMemory === null ? null : String(sharedMemory) }
}
