/** The names that forms of administrators offer; none until they are known. */
import { useQuery } from '@tanstack/react-query'
import { fetchChoices, type Choices } from '../api/choices'
import { useHere } from '../shell/me'

export const CHOICES = ['choices']
const NONE: Choices = {
  domains: [], projects: [], keypairPolicies: [], userPolicies: [], projectPolicies: [], resourceGroups: [], hosts: [], hostPermissions: [],
}

export function useChoices(): Choices {
  const { me } = useHere()
  const { data } = useQuery({ queryKey: CHOICES, queryFn: () => fetchChoices(me.role === 'superadmin') })
  return data ?? NONE
}

export function optionsOf(names: readonly string[]): { value: string; label: string }[] {
  return names.map((name) => ({ value: name, label: name }))
}
