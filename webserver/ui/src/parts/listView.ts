/** What of a list is looked at — page, order, filters — kept in the address, so that it can be shared. */
import { useCallback, useMemo } from 'react'
import { useSearchParams } from 'react-router'
import { allOf, contains, isOneOf, type Page, type PageAsk } from '../api/graph'

export interface ListView {
  page: number
  size: number
  /** A column name, with `-` before it for descending. */
  order: string
  filters: Record<string, string>
}

export interface Filter {
  name: string
  title: string
  /** The words to pick from; without them it is a text to look for. */
  words?: readonly string[]
  /** It is a day to pick. */
  isDay?: boolean
}

export const PAGE_SIZES = [10, 20, 50, 100]
const RESERVED = new Set(['page', 'size', 'order'])

export function useListView(order: string, kept: readonly string[] = []) {
  const [params, setParams] = useSearchParams()
  const view = useMemo(() => readView(params, order, kept), [params, order, kept])
  const setView = useCallback(
    (change: Partial<ListView>) => setParams((now) => writeView(now, change), { replace: true }),
    [setParams],
  )
  return [view, setView] as const
}

/** `kept` are parameters of the address that are no filters. */
export function readView(params: URLSearchParams, order: string, kept: readonly string[]): ListView {
  const filters = [...params].filter(([name]) => !RESERVED.has(name) && !kept.includes(name))
  return {
    page: Math.max(1, Number(params.get('page')) || 1),
    size: PAGE_SIZES.includes(Number(params.get('size'))) ? Number(params.get('size')) : 20,
    order: params.get('order') ?? order,
    filters: Object.fromEntries(filters),
  }
}

export function writeView(now: URLSearchParams, { filters, ...change }: Partial<ListView>): URLSearchParams {
  const next = new URLSearchParams(now)
  const values = { ...filters, ...change }
  if (!change.page) next.delete('page')
  for (const [name, value] of Object.entries(values)) {
    if (value === '' || (name === 'page' && value === 1)) next.delete(name)
    else next.set(name, String(value))
  }
  return next
}

/** The view as a list query asks for it. */
export function pageAskOf(view: ListView, filters: readonly Filter[], also?: string): PageAsk {
  const conditions = filters.map(({ name, words }) => {
    const value = view.filters[name]
    if (!value) return null
    return words ? isOneOf(name, value.split(',')) : contains(name, value)
  })
  return {
    limit: view.size,
    offset: (view.page - 1) * view.size,
    order: view.order,
    filter: allOf([...conditions, also]),
  }
}

/** The page of a list that the API gives whole; `valueOf` is what is filtered and ordered by. */
export function pageHere<T>(
  all: T[],
  view: ListView,
  filters: readonly Filter[],
  valueOf: (item: T, name: string) => string | number,
): Page<T> {
  const kept = all.filter((item) =>
    filters.every(({ name, words }) => {
      const wanted = view.filters[name]
      if (!wanted) return true
      const value = String(valueOf(item, name))
      return words ? wanted.split(',').includes(value) : value.toLowerCase().includes(wanted.toLowerCase())
    }),
  )
  const column = view.order.replace(/^-/, '')
  const sign = view.order.startsWith('-') ? -1 : 1
  const ordered = column ? [...kept].sort((a, b) => sign * compare(valueOf(a, column), valueOf(b, column))) : kept
  return { items: ordered.slice((view.page - 1) * view.size, view.page * view.size), total: kept.length }
}

function compare(a: string | number, b: string | number): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  return String(a).localeCompare(String(b), undefined, { numeric: true })
}
