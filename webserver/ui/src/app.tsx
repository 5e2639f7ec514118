/** What every page stands on: looks, dialogs, messages, the cache of answers, and the address. */
import { MantineProvider } from '@mantine/core'
import { ModalsProvider } from '@mantine/modals'
import { Notifications } from '@mantine/notifications'
import { QueryClientProvider } from '@tanstack/react-query'
import i18next from 'i18next'
import { RouterProvider } from 'react-router'
import { client } from './queries'
import { router } from './routes'
import { theme, variables } from './theme'

export function App() {
  return (
    <MantineProvider theme={theme} cssVariablesResolver={variables} defaultColorScheme="auto">
      <QueryClientProvider client={client}>
        <ModalsProvider modalProps={{ closeButtonProps: { 'aria-label': i18next.t('action.close') } }}>
          <Notifications position="bottom-right" limit={4} />
          <RouterProvider router={router} />
        </ModalsProvider>
      </QueryClientProvider>
    </MantineProvider>
  )
}
