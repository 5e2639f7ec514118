/** One field for each resource slot; an empty field is no limit. */
import { amountOf, isBytes, slotName, slotUnit, type Slots } from '../format/slots'
import type { Field } from './FieldForm'

export type SlotValues = Record<`slot:${string}`, number | null>

/** `kinds` are the slots of the cluster; those in `held` are shown too. */
export function slotFields(kinds: Record<string, string>, held: Slots, hint?: string): Field<SlotValues>[] {
  const slots = [...new Set([...Object.keys(kinds), ...Object.keys(held)])]
  return slots.map((slot) => {
    const inBytes = isBytes(slot) || kinds[slot] === 'bytes'
    const unit = inBytes ? '' : slotUnit(slot)
    return { name: `slot:${slot}`, label: unit ? `${slotName(slot)} (${unit})` : slotName(slot), kind: inBytes ? 'bytes' : 'number', ...(hint && { hint }) }
  })
}

export function slotValues(slots: Slots): SlotValues {
  const limited = Object.keys(slots).filter((slot) => Number.isFinite(amountOf(slots, slot)))
  return Object.fromEntries(limited.map((slot) => [`slot:${slot}`, amountOf(slots, slot)]))
}

/** What was written, as the API takes it. */
export function slotsOf(values: object): Slots {
  const written = Object.entries(values).filter(([name, value]) => name.startsWith('slot:') && typeof value === 'number')
  return Object.fromEntries(written.map(([name, value]) => [name.slice('slot:'.length), String(value)]))
}
