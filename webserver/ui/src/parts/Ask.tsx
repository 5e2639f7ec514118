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

export function Ask<T>({ query, height = 120, children }: Props<T>) {
  if (query.data !== undefined) return <>{children(query.data)}</>
  if (query.isError) return <Failure error={query.error} onRetry={() => void query.refetch()} />
  return (
    <Stack gap="xs" role="status" aria-busy aria-label="…">
      <Skeleton height={height * 0.25} width="40%" />
      <Skeleton height={height * 0.65} />
    </Stack>
  )
}
