/** How a background task gets on, as it happens. */
import { useEffect, useState } from 'react'
import { pathOf } from '../api/http'

export interface Progress {
  state: 'running' | 'done' | 'failed' | 'cancelled'
  current: number
  total: number
  message: string
}

interface News {
  message: string
  current_progress?: number
  total_progress?: number
}

const ENDS = ['done', 'failed', 'cancelled'] as const
const BEGUN: Progress = { state: 'running', current: 0, total: 0, message: '' }

/** `onEnd` is called once it is over, `onGone` when there is no such task any more. */
export function useTask(id: string | null, onEnd: () => void, onGone: () => void): Progress {
  const [progress, setProgress] = useState(BEGUN)
  useEffect(() => {
    if (!id) return
    setProgress(BEGUN)
    const source = new EventSource(pathOf('/func/events/background-task', { task_id: id }))
    const hear = (state: Progress['state']) => (event: MessageEvent<string>) => {
      const news = JSON.parse(event.data) as News
      setProgress((now) => ({ state, message: news.message, current: news.current_progress ?? now.current, total: news.total_progress ?? now.total }))
      if (state === 'running') return
      source.close()
      onEnd()
    }
    source.addEventListener('bgtask_updated', hear('running'))
    for (const end of ENDS) source.addEventListener(`bgtask_${end}`, hear(end))
    // The browser itself asks again after a connection that broke, not after a refusal.
    source.onerror = () => source.readyState === EventSource.CLOSED && onGone()
    return () => source.close()
  }, [id])
  return progress
}
