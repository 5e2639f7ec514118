/** The last refusals of this browser, for the log page and for error reports. */
import { ApiError } from '../api/http'

export interface Failure {
  at: string
  title: string
  detail: string
  requestId: string
  status: number
}

const KEPT = 'failures'
const MOST = 100
const noted = new WeakSet<ApiError>()

export function noteFailure(error: unknown): void {
  if (!(error instanceof ApiError) || noted.has(error)) return
  noted.add(error)
  const { title, detail, requestId, status } = error
  const failure: Failure = { at: new Date().toISOString(), title, detail, requestId, status }
  localStorage.setItem(KEPT, JSON.stringify([failure, ...listFailures()].slice(0, MOST)))
}

export function listFailures(): Failure[] {
  const text = localStorage.getItem(KEPT)
  return text ? (JSON.parse(text) as Failure[]) : []
}

export function clearFailures(): void {
  localStorage.removeItem(KEPT)
}
