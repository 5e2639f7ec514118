/** The least and the most of each slot that an image may be given, as a form has them. */
import type { Image, Limit } from '../../api/images'
import { amountOf, isBytes, slotName, slotUnit } from '../../format/slots'
import type { Field } from '../../parts/FieldForm'

type Edge = 'min' | 'max'
export type LimitValues = Record<`${Edge}:${string}`, number | null>

export function limitFields(kinds: Record<string, string>, held: Image['limits'], words: { least: string; most: string; hint: string }): Field<LimitValues>[] {
  const slots = [...new Set([...Object.keys(kinds), ...Object.keys(held)])]
  return slots.flatMap((slot) => {
    const inBytes = isBytes(slot) || kinds[slot] === 'bytes'
    const unit = inBytes ? '' : slotUnit(slot)
    const name = unit ? `${slotName(slot)} (${unit})` : slotName(slot)
    const field = (edge: Edge, label: string): Field<LimitValues> => ({ name: `${edge}:${slot}`, label: `${name}: ${label}`, kind: inBytes ? 'bytes' : 'number', ...(edge === 'max' && { hint: words.hint }) })
    return [field('min', words.least), field('max', words.most)]
  })
}

export function limitValues(limits: Image['limits']): LimitValues {
  const pairs = Object.entries(limits).flatMap(([slot, { min, max }]) =>
    [['min', min] as const, ['max', max ?? 'Infinity'] as const].map(([edge, text]) => [`${edge}:${slot}`, amountOf({ [slot]: text }, slot)] as const),
  )
  return Object.fromEntries(pairs.filter(([, amount]) => Number.isFinite(amount) && amount > 0))
}

/** What was written, as the API takes it: an empty edge is none. */
export function limitsOf(values: LimitValues): Limit[] {
  const written = Object.entries(values).filter(([, amount]) => typeof amount === 'number')
  const slots = [...new Set(written.map(([name]) => name.slice('min:'.length)))]
  const edge = (name: Edge, slot: string) => String(values[`${name}:${slot}`] ?? '')
  return slots.map((key) => ({ key, min: edge('min', key), max: edge('max', key) }))
}
