/** Sessions that run, wait or have ended; one opens beside the list. */
import { ActionIcon, Anchor, Button, Group, SegmentedControl, Text, Tooltip } from '@mantine/core'
import { IconApps, IconFileText, IconPlus, IconSquareX, IconTerminal2 } from '@tabler/icons-react'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, useSearchParams } from 'react-router'
import { shortName } from '../../api/images'
import { isAdmin } from '../../api/login'
import { ENDED, listSessions, LIVE, type Session, type Whose } from '../../api/sessions'
import { formatSlots } from '../../format/slots'
import { formatAgo, formatTime, readable } from '../../format/times'
import { useSessionsEvents } from '../../live/events'
import { DataTable, type Column } from '../../parts/DataTable'
import { Empty } from '../../parts/Empty'
import { pageAskOf, useListView, type Filter } from '../../parts/listView'
import { Page } from '../../parts/Page'
import { Status } from '../../parts/Status'
import { useHere } from '../../shell/me'
import { openTerminal } from './Apps'
import { SessionDrawer } from './SessionDrawer'
import { useSessionActions } from './useSessionActions'

const KEPT = ['open', 'tab', 'show', 'who']
const WAITING_MILLISECONDS = 30_000
const TYPES = ['interactive', 'batch', 'inference', 'system']

export default function Sessions() {
  const { t } = useTranslation()
  const { me, project } = useHere()
  const [params, setParams] = useSearchParams()
  const [view, setView] = useListView('-created_at', KEPT)
  const columns = useColumns()
  const { askEnd } = useSessionActions()
  const isEnded = params.get('show') === 'ended'
  const isAll = params.get('who') === 'all' && isAdmin(me.role)
  const put = (name: string, value: string) =>
    setParams((now) => {
      const next = new URLSearchParams(now)
      if (value) next.set(name, value)
      else next.delete(name)
      if (name !== 'open' && name !== 'tab') next.delete('page')
      return next
    })

  const filters: Filter[] = [
    { name: 'name', title: t('sessions.name') },
    { name: 'status', title: t('sessions.status'), words: isEnded ? ENDED : LIVE },
    { name: 'type', title: t('sessions.type'), words: TYPES },
  ]
  const whose: Whose = isAll ? {} : { access_key: me.accessKey, group_id: project?.id }
  const query = useQuery({
    queryKey: ['sessions', isEnded, whose, view],
    queryFn: ({ signal }) => listSessions(pageAskOf(view, filters), isEnded ? ENDED : LIVE, whose, signal),
    placeholderData: keepPreviousData,
    // Why something waits can change without an event.
    refetchInterval: ({ state }) => (state.data?.items.some(({ status }) => status === 'PENDING') ? WAITING_MILLISECONDS : false),
  })
  useSessionsEvents(whose.access_key)

  return (
    <Page
      title={t('sessions.title')} hint={t('sessions.hint')}
      actions={<Button component={Link} to="/launch" leftSection={<IconPlus size={16} />}>{t('launch.title')}</Button>}
    >
      <Group justify="space-between">
        <SegmentedControl
          value={isEnded ? 'ended' : ''} onChange={(value) => put('show', value)} aria-label={t('sessions.status')}
          data={[{ value: '', label: t('sessions.live') }, { value: 'ended', label: t('sessions.ended') }]}
        />
        {isAdmin(me.role) && (
          <SegmentedControl
            value={isAll ? 'all' : ''} onChange={(value) => put('who', value)} aria-label={t('sessions.owner')}
            data={[{ value: '', label: t('sessions.whoMine') }, { value: 'all', label: t('sessions.whoAll') }]}
          />
        )}
      </Group>
      <DataTable
        name="sessions" query={query} idOf={({ id }) => id} view={view} onView={setView} filters={filters}
        columns={isEnded ? columns.filter(({ name }) => name !== 'actions') : [...columns, actionsColumn(t('sessions.actions'), (session) => <RowActions session={session} onOpen={put} />)]}
        onOpen={({ id }) => put('open', id)}
        {...(!isEnded && {
          bulk: (items: Session[], clear: () => void) => (
            <Button size="xs" color="red" variant="light" onClick={() => askEnd(items, clear)}>{t('sessions.terminate')}</Button>
          ),
        })}
        empty={
          isEnded ? <Empty icon={IconTerminal2} title={t('sessions.emptyEnded')} hint={t('sessions.emptyEndedHint')} /> : (
            <Empty
              icon={IconTerminal2} title={t('sessions.emptyTitle')} hint={t('sessions.emptyHint')}
              action={<Button component={Link} to="/launch">{t('launch.title')}</Button>}
            />
          )
        }
      />
      <SessionDrawer id={params.get('open')} tab={params.get('tab') ?? 'overview'} onTab={(tab) => put('tab', tab)} onClose={() => put('open', '')} />
    </Page>
  )
}

function useColumns(): Column<Session>[] {
  const { t, i18n } = useTranslation()
  return [
    {
      name: 'name', title: t('sessions.name'), order: 'name', text: ({ name }) => name,
      render: ({ id, name, image }) => (
        <div style={{ minWidth: 140 }}>
          <Anchor component={Link} to={`/sessions?open=${id}`} size="sm" fw={600}>{name}</Anchor>
          <Text size="xs" c="dimmed" truncate maw={260} title={image}>{shortName(image)}</Text>
        </div>
      ),
    },
    {
      name: 'status', title: t('sessions.status'), order: 'status', text: ({ status }) => status,
      render: ({ status, waiting, statusInfo }) => {
        const why = readable(waiting || statusInfo, i18n.language)
        return (
          <div>
            <Status word={status} />
            {why && <Text size="xs" c="dimmed" maw={260} lineClamp={2} mt={4} title={why}>{why}</Text>}
          </div>
        )
      },
    },
    { name: 'slots', title: t('sessions.slots'), text: ({ slots }) => formatSlots(slots), render: ({ slots, clusterSize }) => <Text size="sm" style={{ whiteSpace: 'nowrap' }}>{formatSlots(slots)}{clusterSize > 1 && ` × ${clusterSize}`}</Text> },
    { name: 'scaling_group', title: t('sessions.resourceGroup'), order: 'scaling_group', text: ({ scalingGroup }) => scalingGroup, render: ({ scalingGroup }) => scalingGroup },
    { name: 'created_at', title: t('sessions.createdAt'), order: 'created_at', text: ({ createdAt }) => createdAt, render: ({ createdAt }) => <Text size="sm" title={formatTime(createdAt, i18n.language)} style={{ whiteSpace: 'nowrap' }}>{formatAgo(createdAt, i18n.language)}</Text> },
    { name: 'type', title: t('sessions.type'), order: 'type', text: ({ type }) => type, render: ({ type }) => type, isExtra: true },
    { name: 'project', title: t('sessions.project'), order: 'group_name', text: ({ projectName }) => projectName, render: ({ projectName }) => projectName, isExtra: true },
    { name: 'owner', title: t('sessions.owner'), text: ({ email }) => email, render: ({ email }) => email, isExtra: true },
    { name: 'id', title: t('sessions.id'), text: ({ id }) => id, render: ({ id }) => <Text size="xs" className="mono">{id}</Text>, isExtra: true },
  ]
}

function actionsColumn(title: string, render: (session: Session) => ReactNode): Column<Session> {
  return { name: 'actions', title, render }
}

function RowActions({ session, onOpen }: { session: Session; onOpen: (name: string, value: string) => void }) {
  const { t } = useTranslation()
  const { askEnd } = useSessionActions()
  const isRunning = session.status === 'RUNNING'
  const openAt = (tab: string) => {
    onOpen('open', session.id)
    onOpen('tab', tab)
  }
  return (
    <Group gap={2} wrap="nowrap">
      <Action label={t('sessions.apps')} onClick={() => openAt('apps')} isDisabled={!isRunning}><IconApps size={18} /></Action>
      <Action label={t('sessions.terminal')} onClick={() => openTerminal(session)} isDisabled={!isRunning}><IconTerminal2 size={18} /></Action>
      <Action label={t('sessions.logs')} onClick={() => openAt('logs')}><IconFileText size={18} /></Action>
      <Action label={t('sessions.terminate')} color="red" onClick={() => askEnd([session])}><IconSquareX size={18} /></Action>
    </Group>
  )
}

function Action(props: { label: string; onClick: () => void; isDisabled?: boolean; color?: string; children: ReactNode }) {
  return (
    <Tooltip label={props.label}>
      <ActionIcon variant="subtle" color={props.color ?? 'gray'} aria-label={props.label} onClick={props.onClick} disabled={props.isDisabled ?? false}>
        {props.children}
      </ActionIcon>
    </Tooltip>
  )
}
