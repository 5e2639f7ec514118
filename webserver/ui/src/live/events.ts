/** What happens to one session, as it happens: its answers in the cache are loaded again. */
import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import type { Session } from '../api/sessions'
import { pathOf } from '../api/http'

const NAMES = [
  'session_enqueued', 'session_scheduled', 'session_started', 'session_cancelled', 'session_terminating', 'session_terminated', 'session_success',
  'session_failure', 'session_idle_warning', 'kernel_preparing', 'kernel_pulling', 'kernel_creating', 'kernel_started', 'kernel_cancelled',
  'kernel_terminating', 'kernel_terminated',
]

export function useSessionEvents(session: Session | null | undefined): void {
  const client = useQueryClient()
  const id = session && !session.terminatedAt ? session.id : null
  const owner = session?.accessKey
  useEffect(() => {
    if (!id) return
    const source = new EventSource(pathOf('/func/events/session', { sessionId: id, ownerAccessKey: owner }))
    const look = () => {
      void client.invalidateQueries({ queryKey: ['session', id] })
      void client.invalidateQueries({ queryKey: ['sessions'] })
    }
    for (const name of NAMES) source.addEventListener(name, look)
    source.addEventListener('server_close', () => {
      look()
      source.close()
    })
    return () => source.close()
  }, [client, id, owner])
}
