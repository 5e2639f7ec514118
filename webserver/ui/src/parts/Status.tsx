/** A status word of the API in the colour of its meaning. */
import { Badge } from '@mantine/core'

const COLORS: Record<string, string> = {
  RUNNING: 'teal', RUNNING_DEGRADED: 'orange', ALIVE: 'teal', active: 'teal', ready: 'teal', accepted: 'teal', success: 'teal', performing: 'blue',
  PENDING: 'yellow', SCHEDULED: 'blue', PULLING: 'blue', PREPARING: 'blue', RESTARTING: 'blue', pending: 'yellow', cloning: 'blue',
  TERMINATING: 'orange', 'before-verification': 'yellow', 'delete-pending': 'orange', 'delete-ongoing': 'orange',
  ERROR: 'red', LOST: 'red', failure: 'red', error: 'red', 'delete-error': 'red',
}

export function Status({ word }: { word: string }) {
  return (
    <Badge variant="light" color={COLORS[word] ?? 'gray'} tt="none" radius="sm" miw="max-content">
      {word}
    </Badge>
  )
}
