/** All about one session, beside the list. */
import { Alert, Button, Drawer, Group, Stack, Tabs, Text } from '@mantine/core'
import { IconHourglass, IconInfoCircle } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { fetchSession, fetchWhy, MOVING, type Session } from '../../api/sessions'
import { readable } from '../../format/times'
import { Ask } from '../../parts/Ask'
import { Empty } from '../../parts/Empty'
import { Status } from '../../parts/Status'
import { Apps } from './Apps'
import { History } from './History'
import { Logs } from './Logs'
import { Overview } from './Overview'
import { useSessionActions } from './useSessionActions'

interface Props {
  id: string | null
  tab: string
  onTab: (tab: string) => void
  onClose: () => void
}

const STATS_MILLISECONDS = 5_000

export function SessionDrawer({ id, tab, onTab, onClose }: Props) {
  const { t } = useTranslation()
  const query = useQuery({
    queryKey: ['session', id],
    queryFn: () => fetchSession(id!),
    enabled: id !== null,
    refetchInterval: ({ state }) => (state.data && !state.data.terminatedAt ? STATS_MILLISECONDS : false),
  })
  return (
    <Drawer opened={id !== null} onClose={onClose} position="right" size={640} closeButtonProps={{ 'aria-label': t('action.close') }} title={query.data && <Head session={query.data} />}>
      <Ask query={query} height={400}>
        {(session) => (session ? <Body session={session} tab={tab} onTab={onTab} /> : <Empty icon={IconInfoCircle} title={t('sessions.gone')} />)}
      </Ask>
    </Drawer>
  )
}

function Head({ session }: { session: Session }) {
  return (
    <Group gap="sm" wrap="nowrap">
      <Text fw={650} size="lg" style={{ overflowWrap: 'anywhere' }}>{session.name}</Text>
      <Status word={session.status} />
    </Group>
  )
}

const TABS = { overview: Overview, apps: Apps, logs: Logs, history: History } as const

function Body({ session, tab, onTab }: { session: Session; tab: string; onTab: (tab: string) => void }) {
  const { t } = useTranslation()
  const { askEnd, askName, restart } = useSessionActions()
  const isLive = !session.terminatedAt
  const shown = tab in TABS ? tab : 'overview'
  return (
    <Stack>
      <Group gap="xs">
        <Button size="xs" variant="default" onClick={() => askName(session)} disabled={!isLive}>{t('action.rename')}</Button>
        <Button size="xs" variant="default" onClick={() => restart(session)} disabled={session.status !== 'RUNNING'}>{t('sessions.restart')}</Button>
        <Button size="xs" color="red" variant="light" onClick={() => askEnd([session])} disabled={!isLive}>{t('sessions.terminate')}</Button>
      </Group>
      {session.status !== 'RUNNING' && <Reason session={session} />}
      <Tabs value={shown} onChange={(next) => next && onTab(next)} keepMounted={false}>
        <Tabs.List mb="md">
          {(Object.keys(TABS) as (keyof typeof TABS)[]).map((name) => <Tabs.Tab key={name} value={name}>{t(`sessions.${name}`)}</Tabs.Tab>)}
        </Tabs.List>
        {Object.entries(TABS).map(([name, Panel]) => (
          <Tabs.Panel key={name} value={name}><Panel session={session} /></Tabs.Panel>
        ))}
      </Tabs>
    </Stack>
  )
}

/** Why it is as it is, in the words of the scheduler or of its node. */
function Reason({ session }: { session: Session }) {
  const { t, i18n } = useTranslation()
  const { data } = useQuery({ queryKey: ['session', session.id, 'why', session.status, session.waiting], queryFn: () => fetchWhy(session) })
  if (!data?.text) return null
  const isMoving = MOVING.includes(session.status)
  const color = session.status === 'ERROR' ? 'red' : isMoving ? 'blue' : 'gray'
  return (
    <Alert color={color} icon={isMoving ? <IconHourglass /> : <IconInfoCircle />} title={t(session.waiting ? 'sessions.waiting' : 'sessions.why')}>
      <Text size="sm" style={{ overflowWrap: 'anywhere' }}>{readable(session.waiting || data.text, i18n.language)}</Text>
    </Alert>
  )
}
