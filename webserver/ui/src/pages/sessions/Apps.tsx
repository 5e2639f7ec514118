/** The apps of a session, each one click away. */
import { Card, Code, Loader, SimpleGrid, Stack, Text } from '@mantine/core'
import { IconBrandPython, IconChartLine, IconCode, IconFolderOpen, IconNetwork, IconTerminal2, IconWorld, type Icon } from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { openApp, type App, type Session } from '../../api/sessions'
import { toastError } from '../../parts/toast'
import { useHere } from '../../shell/me'

const ICONS: Record<string, Icon> = {
  ttyd: IconTerminal2, sshd: IconNetwork, files: IconFolderOpen, jupyter: IconBrandPython, jupyterlab: IconBrandPython, tensorboard: IconChartLine, vscode: IconCode,
}
const NAMES: Record<string, string> = { ttyd: 'Web terminal', sshd: 'SSH', jupyter: 'Jupyter Notebook', jupyterlab: 'Jupyter Lab', tensorboard: 'TensorBoard', vscode: 'VS Code' }
/** Where in an app people want to be. */
const POSTFIXES: Record<string, string> = { jupyterlab: '&redirect=/lab', jupyter: '&redirect=/tree' }

export function openTerminal(session: Session): void {
  window.open(`/terminal/${session.id}`, `terminal-${session.id}`)
}

export function Apps({ session }: { session: Session }) {
  const { t } = useTranslation()
  const { me } = useHere()
  const open = useMutation({
    mutationFn: async (app: App) => {
      // Opened at once: a window that comes after an answer is taken for an advertisement.
      const window_ = window.open('about:blank')
      try {
        const url = (await openApp(session, app, me.loginSession)) + (POSTFIXES[app.name] ?? '')
        if (window_) window_.location.href = url
        else window.location.href = url
      } catch (error) {
        window_?.close()
        throw error
      }
    },
    onError: toastError,
  })
  if (session.status !== 'RUNNING') return <Text size="sm" c="dimmed">{t('sessions.noApps')}</Text>
  const http = session.apps.filter(({ name, protocol }) => protocol !== 'tcp' && name !== 'ttyd')
  const hasSsh = session.apps.some(({ name }) => name === 'sshd')
  return (
    <Stack>
      <SimpleGrid cols={{ base: 2, xs: 3 }}>
        <Tile icon={IconTerminal2} name={t('sessions.terminal')} onClick={() => openTerminal(session)} />
        {http.map((app) => (
          <Tile
            key={app.name} icon={ICONS[app.name] ?? IconWorld} name={app.name === 'files' ? t('folders.files') : (NAMES[app.name] ?? app.name)}
            isBusy={open.isPending && open.variables?.name === app.name} onClick={() => open.mutate(app)}
          />
        ))}
      </SimpleGrid>
      {hasSsh && (
        <Stack gap={4}>
          <Text size="sm">{t('sessions.sshHint')}</Text>
          <Code block>backendai ssh {session.name}</Code>
        </Stack>
      )}
    </Stack>
  )
}

function Tile({ icon: Picture, name, isBusy = false, onClick }: { icon: Icon; name: string; isBusy?: boolean; onClick: () => void }) {
  return (
    <Card component="button" type="button" className="task-card" padding="md" onClick={onClick} disabled={isBusy}>
      <Stack align="center" gap={6}>
        {isBusy ? <Loader size={28} /> : <Picture size={28} stroke={1.5} />}
        <Text size="sm" ta="center">{name}</Text>
      </Stack>
    </Card>
  )
}
