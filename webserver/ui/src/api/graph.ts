/** GraphQL of the manager: questions, pages of lists, and the filter language. */
import { ApiError, call } from './http'

export interface Page<T> {
  items: T[]
  total: number
}
export interface PageAsk {
  limit: number
  offset: number
  filter?: string | undefined
  order?: string | undefined
}

interface Answer<T> {
  data: T | null
  errors?: { message: string }[]
}

/** The data of a query or mutation. Raises `ApiError`, also for errors beside the data. */
export async function ask<T>(
  query: string,
  variables: Record<string, unknown> = {},
  signal?: AbortSignal,
): Promise<T> {
  const body = { query, variables }
  const answer = await call<Answer<T>>('POST', '/func/admin/gql', signal ? { body, signal } : { body })
  const [error] = answer.errors ?? []
  if (error || !answer.data) throw new ApiError(400, error?.message ?? 'No answer.', '', 'graphql', '', null)
  return answer.data
}

/** A mutation that tells `ok` and `msg`. Raises `ApiError` when it is not ok. */
export async function change(query: string, variables: Record<string, unknown> = {}): Promise<void> {
  const data = await ask<Record<string, { ok?: boolean; msg?: string } | null>>(query, variables)
  const refused = Object.values(data).find((one) => one?.ok === false)
  if (refused) throw new ApiError(400, refused.msg || 'Refused.', '', 'graphql', '', null)
}

export interface ListName {
  /** The root field, such as `agent_list`. */
  field: string
  /** The selection of one item. */
  fields: string
  /** Further variables with their types, such as `{ status: 'String' }`. */
  types?: Record<string, string>
}

/** One page of a `*_list` field. */
export async function askPage<T>(
  list: ListName,
  { limit, offset, filter, order }: PageAsk,
  more: Record<string, unknown> = {},
  signal?: AbortSignal,
): Promise<Page<T>> {
  const types = { limit: 'Int!', offset: 'Int!', filter: 'String', order: 'String', ...list.types }
  const names = Object.keys(types)
  const declared = Object.entries(types).map(([name, type]) => `$${name}: ${type}`)
  const passed = names.map((name) => `${name}: $${name}`)
  const query = `query(${declared.join(', ')}) { ${list.field}(${passed.join(', ')}) { total_count items { ${list.fields} } } }`
  const variables = { limit, offset, filter: filter || null, order: order || null, ...more }
  const data = await ask<Record<string, { items: T[]; total_count: number }>>(query, variables, signal)
  const page = data[list.field]
  return { items: page?.items ?? [], total: page?.total_count ?? 0 }
}

// The most that the API gives at once.
const WHOLE_PAGE = 1000

/** A `*_list` field to its end, page by page. */
export async function askWhole<T>(list: ListName, page: Omit<PageAsk, 'limit' | 'offset'>, more: Record<string, unknown> = {}): Promise<T[]> {
  const items: T[] = []
  for (;;) {
    const found = await askPage<T>(list, { ...page, limit: WHOLE_PAGE, offset: items.length }, more)
    items.push(...found.items)
    if (!found.items.length || items.length >= found.total) return items
  }
}

/** `name ilike "%x%"`, with what is written meant as it is. */
export function contains(column: string, text: string): string {
  return `${column} ilike ${quoted(`%${text}%`)}`
}

export function isOneOf(column: string, words: readonly string[]): string {
  return `${column} in [${words.map(quoted).join(', ')}]`
}

export function allOf(conditions: readonly (string | null | undefined | false)[]): string | undefined {
  const given = conditions.filter(Boolean)
  return given.length ? given.map((one) => `(${one})`).join(' & ') : undefined
}

/** A value that the API sends as JSON text; `fallback` for none. */
export function parseJson<T>(text: string | null | undefined, fallback: T): T {
  if (!text) return fallback
  return (JSON.parse(text) as T | null) ?? fallback
}

function quoted(text: string): string {
  return `"${text.replace(/[\\"]/g, '\\$&')}"`
}
