/** Seconds that are left, counted down between two answers of the server. */
import { useEffect, useState } from 'react'

export function useCountdown(seconds: number): number {
  const [endsAt] = useState(() => Date.now() + seconds * 1000)
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [])
  return Math.max(0, Math.round((endsAt - now) / 1000))
}
