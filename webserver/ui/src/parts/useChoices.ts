/** The names that forms of administrators offer: asked for when a form is about to be opened. */
import { useQueryClient } from '@tanstack/react-query'
import { fetchChoices, type Choices } from '../api/choices'
import { useHere } from '../shell/me'
import { toastError } from './toast'

export const CHOICES = ['choices']

/** Gives what is known to `use` as soon as it is known. */
export function useChoices(): (use: (choices: Choices) => void) => void {
  const { me } = useHere()
  const client = useQueryClient()
  return (use) => {
    const known = client.fetchQuery({ queryKey: CHOICES, queryFn: () => fetchChoices(me.role === 'superadmin') })
    known.then(use, toastError)
  }
}

export function optionsOf(names: readonly string[]): { value: string; label: string }[] {
  return names.map((name) => ({ value: name, label: name }))
}
