/** One way to the webserver: JSON in, JSON out, and every refusal as an `ApiError`. */

export const API_VERSION = 'v7.20230615'
const REQUEST_ID = 'X-Request-Id'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
export type Query = Record<string, string | number | boolean | null | undefined>
export interface Call {
  query?: Query
  body?: unknown
  signal?: AbortSignal
}

/** What a server refused, with what its owner needs to find it in the logs. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly code: string,
    readonly requestId: string,
    readonly facts: unknown,
  ) {
    super(detail ? `${title} ${detail}` : title)
    this.name = 'ApiError'
  }

  /** Whether asking again can help. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 502
  }
}

type Listener = () => void
const loggedOut = new Set<Listener>()

/** Calls `listener` when a call is refused for want of a login; the answer ends that. */
export function onLoggedOut(listener: Listener): () => void {
  loggedOut.add(listener)
  return () => loggedOut.delete(listener)
}

/** One call. Raises `ApiError`; an empty answer is `undefined`. */
export async function call<T>(method: Method, path: string, options: Call = {}): Promise<T> {
  const response = await send(method, path, options)
  if (!response.ok) throw await refusalOf(response)
  const text = await response.text()
  return (text ? JSON.parse(text) : undefined) as T
}

/** The answer as it comes: for bodies that are no JSON. Raises `ApiError`. */
export async function callRaw(method: Method, path: string, options: Call = {}): Promise<Response> {
  const response = await send(method, path, options)
  if (!response.ok) throw await refusalOf(response)
  return response
}

export function pathOf(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null)
  if (!given.length) return path
  return `${path}?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}`
}

async function send(method: Method, path: string, { query, body, signal }: Call): Promise<Response> {
  const headers: Record<string, string> = { 'X-BackendAI-Version': API_VERSION }
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  try {
    return await fetch(pathOf(path, query), {
      method,
      headers,
      credentials: 'same-origin',
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
    })
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(0, 'The server cannot be reached.', '', 'network', '', null)
  }
}

async function refusalOf(response: Response): Promise<ApiError> {
  const problem = await readProblem(response)
  const requestId = response.headers.get(REQUEST_ID) ?? ''
  if (response.status === 401) loggedOut.forEach((listener) => listener())
  return new ApiError(
    response.status,
    problem.title ?? `HTTP ${response.status}`,
    problem.msg ?? problem.detail ?? '',
    problem.code ?? '',
    requestId,
    problem.data,
  )
}

interface Problem {
  title?: string
  msg?: string
  detail?: string
  code?: string
  data?: unknown
}

async function readProblem(response: Response): Promise<Problem> {
  const text = await response.text().catch(() => '')
  try {
    const body: unknown = JSON.parse(text)
    return typeof body === 'object' && body !== null ? (body as Problem) : {}
  } catch {
    return { title: `HTTP ${response.status} ${response.statusText}`.trim() }
  }
}
