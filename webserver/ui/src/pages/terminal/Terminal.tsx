/** A shell of a session in a window of its own. The shell outlives the connection. */
import '@xterm/xterm/css/xterm.css'
import { ActionIcon, Badge, Box, Button, Container, Group, Text, Tooltip } from '@mantine/core'
import { useDocumentTitle } from '@mantine/hooks'
import { IconRefresh, IconTerminal2, IconTextDecrease, IconTextIncrease } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { FitAddon } from '@xterm/addon-fit'
import { Terminal as Screen } from '@xterm/xterm'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, useParams } from 'react-router'
import { pathOf } from '../../api/http'
import { fetchSession, type Session } from '../../api/sessions'
import { TerminalWire, type TerminalHandlers } from '../../live/terminal'
import { Ask } from '../../parts/Ask'
import { Empty } from '../../parts/Empty'

const THEME = { background: '#101216', foreground: '#dfe3ea', cursor: '#91a7ff', selectionBackground: '#3b4a7a' }
const SCROLLBACK_LINES = 10_000

export default function Terminal() {
  const { session: id = '' } = useParams()
  const query = useQuery({ queryKey: ['session', id], queryFn: () => fetchSession(id), staleTime: Infinity })
  if (query.data) return <Shell session={query.data} />
  return <Container component="main" size="sm" py="xl"><Ask query={query}>{() => <Gone />}</Ask></Container>
}

function Gone() {
  const { t } = useTranslation()
  return <Empty icon={IconTerminal2} title={t('sessions.gone')} action={<Button component={Link} to="/sessions" variant="light">{t('sessions.title')}</Button>} />
}

type State = Parameters<TerminalHandlers['onState']>[0]

function Shell({ session }: { session: Session }) {
  const { t } = useTranslation()
  const place = useRef<HTMLDivElement>(null)
  const wire = useRef<TerminalWire>(null)
  const screen = useRef<{ terminal: Screen; fit: FitAddon }>(null)
  const [state, setState] = useState<State>('connecting')
  useDocumentTitle(`${session.name} · ${t('sessions.terminal')}`)

  useEffect(() => {
    const terminal = new Screen({ theme: THEME, fontFamily: 'ui-monospace, Menlo, Consolas, monospace', fontSize: 14, scrollback: SCROLLBACK_LINES, cursorBlink: true, screenReaderMode: false })
    const fit = new FitAddon()
    terminal.loadAddon(fit)
    terminal.open(place.current!)
    const url = pathOf(`/func/stream/session/${session.id}/pty`, { owner_access_key: session.accessKey })
    const line = new TerminalWire(new URL(url, window.location.href.replace(/^http/, 'ws')).href, {
      onOutput: (bytes) => terminal.write(bytes),
      onError: (message) => terminal.write(`\r\n\x1b[31m${message}\x1b[0m\r\n`),
      onState: (next) => {
        // The scroll-back comes again with each connection.
        if (next === 'connected') terminal.reset()
        setState(next)
      },
    })
    terminal.onData((chars) => line.type(chars))
    terminal.onResize(({ rows, cols }) => line.resize(rows, cols))
    const observer = new ResizeObserver(() => fit.fit())
    observer.observe(place.current!)
    screen.current = { terminal, fit }
    wire.current = line
    fit.fit()
    line.connect()
    terminal.focus()
    return () => {
      observer.disconnect()
      line.close()
      terminal.dispose()
    }
  }, [session.id, session.accessKey])

  const scale = (step: number) => {
    const { terminal, fit } = screen.current!
    terminal.options.fontSize = Math.min(28, Math.max(9, (terminal.options.fontSize ?? 14) + step))
    fit.fit()
    terminal.focus()
  }

  return (
    <Box component="main" h="100dvh" bg="#101216" style={{ display: 'flex', flexDirection: 'column' }} aria-label={t('terminal.label', { name: session.name })}>
      <Group h={40} px="sm" justify="space-between" wrap="nowrap" bg="#1b1e25">
        <Group gap="sm" wrap="nowrap" miw={0}>
          <Text size="sm" c="#dfe3ea" fw={600} truncate>{session.name}</Text>
          <Connection state={state} onNow={() => wire.current?.connect()} />
        </Group>
        <Group gap={2} wrap="nowrap">
          <Tool label={t('terminal.smaller')} onClick={() => scale(-1)}><IconTextDecrease size={17} /></Tool>
          <Tool label={t('terminal.bigger')} onClick={() => scale(1)}><IconTextIncrease size={17} /></Tool>
          <Tool label={t('terminal.restart')} onClick={() => wire.current?.restart()}><IconRefresh size={17} /></Tool>
        </Group>
      </Group>
      <Box ref={place} flex={1} mih={0} p={6} />
    </Box>
  )
}

function Connection({ state, onNow }: { state: State; onNow: () => void }) {
  const { t } = useTranslation()
  if (state === 'connected') return <Badge color="teal" variant="filled" size="sm" tt="none" c="#101216" bg="teal.4">{t('terminal.connected')}</Badge>
  if (state === 'connecting') return <Text size="xs" c="#a3a8b0">{t('terminal.connecting')}</Text>
  return (
    <Group gap="xs" wrap="nowrap" role="status" miw={0}>
      <Text size="xs" c="yellow.4" truncate>{t('terminal.lost', { seconds: state.retryIn })}</Text>
      <Button size="compact-xs" variant="light" onClick={onNow}>{t('terminal.now')}</Button>
    </Group>
  )
}

function Tool({ label, onClick, children }: { label: string; onClick: () => void; children: ReactNode }) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray.4" aria-label={label} onClick={onClick}>{children}</ActionIcon>
    </Tooltip>
  )
}
