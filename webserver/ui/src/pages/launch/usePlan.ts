/** What the scheduler would do with the form as it stands, asked while somebody types. */
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { fetchPlan, type Wanted } from '../../api/resources'
import type { Form } from './form'

const TYPING_MILLISECONDS = 400

export function usePlan(form: Form, project: string, architecture: string) {
  const wanted: Wanted = { resources: form.slots, cluster_size: form.clusterSize, cluster_mode: form.clusterMode, architecture }
  // As text, so that only what differs is asked.
  const [asked] = useDebouncedValue(JSON.stringify(wanted), TYPING_MILLISECONDS)
  return useQuery({
    queryKey: ['room', project, form.group, asked],
    queryFn: () => fetchPlan(project, form.group, JSON.parse(asked) as Wanted),
    enabled: form.group !== '',
    placeholderData: keepPreviousData,
  })
}

export type PlanQuery = ReturnType<typeof usePlan>
