/** One way to change something: do it, say so, and load again what it touched. */
import { useMutation, useQueryClient, type QueryKey } from '@tanstack/react-query'
import { toastDone, toastError } from './toast'

interface Options<V> {
  act: (value: V) => Promise<unknown>
  done?: string | ((value: V) => string)
  touches?: QueryKey[]
  onDone?: (value: V) => void
}

export function useAct<V = void>({ act, done, touches = [], onDone }: Options<V>) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: act,
    onError: toastError,
    onSuccess: async (_, value) => {
      if (done) toastDone(typeof done === 'function' ? done(value) : done)
      onDone?.(value)
      await Promise.all(touches.map((queryKey) => client.invalidateQueries({ queryKey })))
    },
  })
}
