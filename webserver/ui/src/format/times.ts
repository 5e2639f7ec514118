/** Moments and spans in the language of the page. */

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
]

export function formatTime(iso: string | null | undefined, language: string): string {
  if (!iso) return '–'
  return new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(iso))
}

const MOMENT = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g

/** What a daemon says, with the moments in it as people read them. */
export function readable(text: string, language: string): string {
  return text.replace(MOMENT, (iso) => formatTime(iso, language))
}

/** "3 minutes ago" */
export function formatAgo(iso: string | null | undefined, language: string, now = Date.now()): string {
  if (!iso) return '–'
  const seconds = Math.round((new Date(iso).getTime() - now) / 1000)
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto' })
  const step = STEPS.find(([, size]) => Math.abs(seconds) >= size)
  return step ? format.format(Math.trunc(seconds / step[1]), step[0]) : format.format(seconds, 'second')
}

/** 3725 → "1:02:05"; days are counted. */
export function formatSpan(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  const days = Math.floor(whole / 86_400)
  const hours = Math.floor((whole % 86_400) / 3_600)
  const minutes = Math.floor((whole % 3_600) / 60)
  const two = (value: number) => String(value).padStart(2, '0')
  const clock = `${hours}:${two(minutes)}:${two(whole % 60)}`
  return days ? `${days}d ${clock}` : clock
}
