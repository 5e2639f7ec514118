/** The cache of answers: what is shared between pages is asked for once. */
import { QueryClient } from '@tanstack/react-query'
import { ApiError, onLoggedOut } from './api/http'

const FRESH_MILLISECONDS = 20_000
const TRIES = 2

export const client = new QueryClient({
  defaultOptions: {
    // Without a network a form is refused at once, instead of waiting without a word.
    mutations: { networkMode: 'always' },
    queries: {
      networkMode: 'always',
      staleTime: FRESH_MILLISECONDS,
      retry: (failures, error) => error instanceof ApiError && error.isPassing && failures < TRIES,
    },
  },
})

export const ME = ['me'] as const

// The login page comes when the webserver says that nobody is logged in, not when one call was refused.
onLoggedOut(() => void client.invalidateQueries({ queryKey: ME }))
