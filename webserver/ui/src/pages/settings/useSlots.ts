/** The slots that the cluster has. */
import { useQuery } from '@tanstack/react-query'
import { call } from '../../api/http'

export function useSlots(): string[] {
  const { data } = useQuery({ queryKey: ['slots'], queryFn: () => call<Record<string, string>>('GET', '/func/config/resource-slots'), staleTime: 5 * 60_000 })
  return Object.keys(data ?? {})
}
