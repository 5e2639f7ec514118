/** Which thing of a list is open beside it, kept in the address. */
import { useSearchParams } from 'react-router'

export function useOpen(): [string | null, (id: string | null) => void] {
  const [params, setParams] = useSearchParams()
  const open = (id: string | null) =>
    setParams((now) => {
      const next = new URLSearchParams(now)
      if (id) next.set('open', id)
      else next.delete('open')
      return next
    })
  return [params.get('open'), open]
}
