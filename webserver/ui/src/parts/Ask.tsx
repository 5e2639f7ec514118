/** What a query has come to: a skeleton, a failure, or its data. */
import { Skeleton, Stack } from '@mantine/core'
import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Failure } from './Failure'

interface Props<T> {
  query: UseQueryResult<T>
  /** Height of the place that is kept free, in pixels. */
  height?: number
  children: (data: T) => ReactNode
}

/** Pixels of a line of the skeleton, and how long lines are. */
const LINE = 34
const WIDTHS = ['100%', '92%', '97%', '80%']

export function Ask<T>({ query, height = 120, children }: Props<T>) {
  if (query.data !== undefined) return <>{children(query.data)}</>
  if (query.isError) return <Failure error={query.error} onRetry={() => void query.refetch()} />
  return (
    <Stack gap="md" role="status" aria-busy aria-label="…" mih={height}>
      <Skeleton height={22} width="40%" />
      {Array.from({ length: Math.max(1, Math.floor(height / LINE) - 1) }, (_, line) => <Skeleton key={line} height={14} width={WIDTHS[line % WIDTHS.length]!} />)}
    </Stack>
  )
}
