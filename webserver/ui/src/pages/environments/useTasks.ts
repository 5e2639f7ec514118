/** The background task that this page has begun, kept in the address so that a reload still shows it. */
import { useSearchParams } from 'react-router'
import { moveImages, rescanImages, type Image } from '../../api/images'
import { useAct } from '../../parts/useAct'

export function useTasks() {
  const [params, setParams] = useSearchParams()
  const put = (task: string | null) =>
    setParams((now) => {
      const next = new URLSearchParams(now)
      if (task) next.set('task', task)
      else next.delete('task')
      return next
    }, { replace: true })
  const rescan = useAct<string | null>({ act: async (registry) => put(await rescanImages(registry)) })
  const move = useAct<{ isBrought: boolean; images: Image[]; agents: string[] }>({
    act: async ({ isBrought, images, agents }) => put(await moveImages(isBrought, images, agents)),
  })
  return { task: params.get('task'), rescan: rescan.mutate, move: move.mutateAsync, close: () => put(null) }
}
