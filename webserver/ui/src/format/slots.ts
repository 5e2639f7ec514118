/** Resource slots: their names, units and amounts. */
import { formatBytes, round } from './numbers'

export type Slots = Record<string, string>

const FIRST = ['cpu', 'mem']

/** The unit word of a slot that is no amount of bytes. */
const UNITS: Record<string, string> = { cpu: 'cores', 'cuda.device': 'GPU', 'cuda.shares': 'fGPU' }
const NAMES: Record<string, string> = { cpu: 'CPU', mem: 'Memory', 'cuda.device': 'GPU', 'cuda.shares': 'fGPU' }

export function slotName(slot: string): string {
  return NAMES[slot] ?? slot
}

/** The word for `amount` of it. */
export function slotUnit(slot: string, amount = 2): string {
  if (slot === 'cpu' && amount === 1) return 'core'
  return isBytes(slot) ? '' : (UNITS[slot] ?? slot.split('.')[0] ?? '')
}

export function isBytes(slot: string): boolean {
  return slot === 'mem' || slot.endsWith('.mem') || slot.endsWith('-mem')
}

/** The amount of a slot; "Infinity" and absence are no limit. */
export function amountOf(slots: Slots, slot: string, absent = 0): number {
  const text = slots[slot]
  if (text === undefined || text === null) return absent
  return text === 'Infinity' || text === 'NaN' ? Infinity : Number(text)
}

export function formatSlot(slot: string, amount: number | string): string {
  const value = Number(amount)
  if (!Number.isFinite(value)) return '∞'
  if (isBytes(slot)) return formatBytes(value)
  const unit = slotUnit(slot, value)
  return unit ? `${round(value, 2)} ${unit}` : round(value, 2)
}

/** Slots that matter, cpu and mem first. */
export function slotsIn(...maps: Slots[]): string[] {
  const present = new Set(maps.flatMap((map) => Object.keys(map).filter((slot) => Number(map[slot]) !== 0)))
  const others = [...present].filter((slot) => !FIRST.includes(slot)).sort()
  return [...FIRST.filter((slot) => present.has(slot)), ...others]
}

/** "2 cores · 4 GiB" */
export function formatSlots(slots: Slots): string {
  return slotsIn(slots)
    .map((slot) => formatSlot(slot, slots[slot] ?? 0))
    .join(' · ')
}
