/** Short messages in the corner; refusals name the request, so that they can be found in the logs. */
import { notifications } from '@mantine/notifications'
import i18next from 'i18next'
import { ApiError } from '../api/http'
import { noteFailure } from './failures'

export function toastDone(message: string): void {
  notifications.show({ message, color: 'teal' })
}

/** What is said of an error in the corner, so that it can be taken back. */
const shown = new WeakMap<object, string>()

export function toastError(error: unknown): void {
  noteFailure(error)
  const { title, detail, requestId } = wordsOf(error)
  const reference = requestId ? i18next.t('error.request', { id: requestId }) : ''
  const id = notifications.show({
    title,
    message: [detail, reference].filter(Boolean).join('\n'),
    color: 'red',
    autoClose: 10_000,
    styles: { description: { whiteSpace: 'pre-line', overflowWrap: 'anywhere' } },
  })
  if (typeof error === 'object' && error !== null) shown.set(error, id)
}

/** For a form that tells of `error` itself: nothing is said twice, and nothing covers it. */
export function untoast(error: unknown): void {
  const id = typeof error === 'object' && error !== null ? shown.get(error) : undefined
  if (id) notifications.hide(id)
}

export interface Words {
  title: string
  detail: string
  requestId: string
}

/** What happened, in the words of whoever refused. */
export function wordsOf(error: unknown): Words {
  if (!(error instanceof ApiError)) {
    const detail = error instanceof Error ? error.message : String(error)
    return { title: i18next.t('error.page'), detail, requestId: '' }
  }
  if (error.code === 'network') return { title: i18next.t('error.network'), detail: i18next.t('error.networkHint'), requestId: '' }
  const facts = factLines(error.facts)
  const hint = error.status >= 500 && !error.detail ? i18next.t('error.server') : error.detail
  return { title: error.title, detail: [hint, ...facts].filter(Boolean).join('\n'), requestId: error.requestId }
}

/** Field → message of a refused form, one a line. */
function factLines(facts: unknown): string[] {
  if (typeof facts !== 'object' || facts === null || Array.isArray(facts)) return []
  return Object.entries(facts).flatMap(([field, message]) =>
    typeof message === 'string' && field !== 'requestId' ? [`${field}: ${message}`] : [],
  )
}
