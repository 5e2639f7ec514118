/** A table of a list that the API gives whole: pages, order and filters are made here. */
import type { UseQueryResult } from '@tanstack/react-query'
import type { Page } from '../api/graph'
import { DataTable, type Column, type DataTableProps } from './DataTable'
import { pageHere } from './listView'

interface Props<T> extends Omit<DataTableProps<T>, 'query'> {
  query: UseQueryResult<T[]>
  /** What a column is filtered and ordered by, where it is not its text. */
  keyOf?: (item: T, name: string) => string | number | undefined
}

export function WholeTable<T>({ query, keyOf, ...table }: Props<T>) {
  const { columns, filters = [], view } = table
  const value = (item: T, name: string) => keyOf?.(item, name) ?? textOf(columns, item, name)
  const page = { ...query, data: query.data && pageHere(query.data, view, filters, value) } as UseQueryResult<Page<T>>
  return <DataTable {...table} query={page} />
}

function textOf<T>(columns: Column<T>[], item: T, name: string): string {
  return columns.find((column) => column.name === name)?.text?.(item) ?? ''
}
