/** Amounts as people read them. */

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** 1536 → "1.5 KiB". Not a number → "–". */
export function formatBytes(bytes: number | string | null | undefined): string {
  const amount = Number(bytes)
  if (bytes === null || bytes === undefined || bytes === '' || Number.isNaN(amount)) return '–'
  if (!Number.isFinite(amount)) return '∞'
  const power = amount < 1 ? 0 : Math.min(Math.floor(Math.log2(amount) / 10), BINARY.length - 1)
  return `${round(amount / 1024 ** power)} ${BINARY[power]}`
}

/** At most `digits` digits after the point, none that say nothing. */
export function round(value: number, digits = 1): string {
  return String(Number(value.toFixed(digits)))
}

/** "4g", "512M", "1.5 GiB" or "1024" → bytes; NaN for what is no size. */
export function parseBytes(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)i?b?\s*$/i.exec(text)
  if (!match) return Number.NaN
  const power = ['', 'k', 'm', 'g', 't', 'p'].indexOf((match[2] ?? '').toLowerCase())
  return Math.round(Number(match[1]) * 1024 ** power)
}

/** 0 to 100, or null when there is nothing to compare with. */
export function percentOf(part: number, whole: number): number | null {
  if (!Number.isFinite(whole) || whole <= 0) return null
  return Math.min(100, Math.max(0, (part / whole) * 100))
}
