/** What happens to sessions, as it happens: what the cache holds of them is loaded again. */
import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { pathOf } from '../api/http'

const NAMES = [
  'session_enqueued', 'session_scheduled', 'session_started', 'session_cancelled', 'session_terminating', 'session_terminated', 'session_success',
  'session_failure', 'session_idle_warning', 'kernel_preparing', 'kernel_pulling', 'kernel_creating', 'kernel_started', 'kernel_cancelled',
  'kernel_terminating', 'kernel_terminated',
]
// Events come in bursts; one look afterwards sees all of them.
const GATHER_MILLISECONDS = 400
// Of everybody's sessions something happens all the time.
const GATHER_ALL_MILLISECONDS = 3_000
const RETRY_MILLISECONDS = 10_000

/** Follows the sessions of a keypair, or without one all that this account may list, while the page is looked at. */
export function useSessionsEvents(owner?: string): void {
  const client = useQueryClient()
  useEffect(() => {
    const look = gathered(() => {
      void client.invalidateQueries({ queryKey: ['sessions'] })
      void client.invalidateQueries({ queryKey: ['session'] })
    }, owner ? GATHER_MILLISECONDS : GATHER_ALL_MILLISECONDS)
    const stop = followWhileSeen(pathOf('/func/events/session', { sessionName: '*', ownerAccessKey: owner }), look.ask)
    return () => {
      stop()
      look.forget()
    }
  }, [client, owner])
}

/** A browser keeps few connections to one server, so a tab that nobody sees has none. */
function followWhileSeen(path: string, look: () => void): () => void {
  let source: EventSource | null = null
  let retry: ReturnType<typeof setTimeout> | undefined
  let isFirst = true
  const open = () => {
    source = new EventSource(path)
    for (const name of NAMES) source.addEventListener(name, look)
    source.onopen = () => {
      // Something may have happened while nobody listened.
      if (!isFirst) look()
      isFirst = false
    }
    // The browser itself asks again after a connection that broke, not after a refusal.
    source.onerror = () => {
      if (source?.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MILLISECONDS)
    }
  }
  const close = () => {
    clearTimeout(retry)
    source?.close()
    source = null
  }
  const onSight = () => {
    if (document.hidden) close()
    else if (!source) open()
  }
  document.addEventListener('visibilitychange', onSight)
  onSight()
  return () => {
    document.removeEventListener('visibilitychange', onSight)
    close()
  }
}

/** Acts once for all that asks within a while. */
export function gathered(act: () => void, milliseconds = GATHER_MILLISECONDS): { ask: () => void; forget: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined
  return {
    ask: () => {
      timer ??= setTimeout(() => {
        timer = undefined
        act()
      }, milliseconds)
    },
    forget: () => clearTimeout(timer),
  }
}
