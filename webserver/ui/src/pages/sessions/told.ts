/** The facts of a move, as people read them. */

/** "since 5 s", one for each; an error says what it is by itself, and what is nested is for programs. */
export function saidOf(detail: Record<string, unknown> | null): string[] {
  return Object.entries(detail ?? {})
    .filter(([, value]) => (typeof value === 'string' && value !== '') || typeof value === 'number')
    .map(([name, value]) => (name === 'error' ? String(value) : `${name}: ${String(value)}`))
}
