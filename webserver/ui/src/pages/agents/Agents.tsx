/** The nodes: how full they are, and which of them take new sessions. */
import { Anchor, Button, Drawer, Group, Stack, Switch, Text, Title } from '@mantine/core'
import { IconServer } from '@tabler/icons-react'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { AGENT_STATUSES, listAgents, type Agent } from '../../api/agents'
import { formatBytes, round } from '../../format/numbers'
import { amountOf, slotName, slotsIn } from '../../format/slots'
import { formatAgo, formatTime } from '../../format/times'
import { DataTable, type Column } from '../../parts/DataTable'
import { Empty } from '../../parts/Empty'
import { Facts, type Fact } from '../../parts/Facts'
import { pageAskOf, useListView, type Filter } from '../../parts/listView'
import { Meter } from '../../parts/Meter'
import { Page } from '../../parts/Page'
import { RowMenu } from '../../parts/RowMenu'
import { Status } from '../../parts/Status'
import { useOpen } from '../../parts/useOpen'
import { HeatMap } from './HeatMap'
import { useAgentActions } from './useAgentActions'

const KEPT = ['open']
const LOOK_MILLISECONDS = 10_000

export default function Agents() {
  const { t } = useTranslation()
  const [view, setView] = useListView('id', KEPT)
  const [opened, open] = useOpen()
  const { deedsOf } = useAgentActions()
  const filters: Filter[] = [
    { name: 'id', title: t('agents.id') },
    { name: 'status', title: t('users.status'), words: AGENT_STATUSES },
    { name: 'scaling_group', title: t('sessions.resourceGroup') },
  ]
  const query = useQuery({
    queryKey: ['agents', view],
    queryFn: ({ signal }) => listAgents(pageAskOf(view, filters), view.filters.status ?? AGENT_STATUSES.join(','), signal),
    placeholderData: keepPreviousData,
    refetchInterval: LOOK_MILLISECONDS,
  })
  const columns: Column<Agent>[] = [
    ...useColumns(open),
    { name: 'actions', title: t('admin.actions'), render: (agent) => <RowMenu name={agent.id} deeds={deedsOf(agent)} /> },
  ]
  const agents = query.data?.items ?? []
  return (
    <Page title={t('agents.title')} hint={t('agents.hint')}>
      {agents.length > 0 && <HeatMap agents={agents} onOpen={open} />}
      <DataTable
        name="agents" query={query} columns={columns} idOf={({ id }) => id} view={view} onView={setView} filters={filters} onOpen={({ id }) => open(id)}
        empty={<Empty icon={IconServer} title={t('agents.emptyTitle')} hint={t('agents.emptyHint')} />}
      />
      <AgentDrawer agent={agents.find(({ id }) => id === opened) ?? null} onClose={() => open(null)} />
    </Page>
  )
}

function useColumns(open: (id: string) => void): Column<Agent>[] {
  const { t, i18n } = useTranslation()
  const { setSchedulable } = useAgentActions()
  return [
    {
      name: 'id', title: t('agents.id'), order: 'id', text: ({ id }) => id,
      render: ({ id, architecture }) => <div style={{ whiteSpace: 'nowrap' }}><Anchor component="button" type="button" size="sm" fw={600} onClick={() => open(id)}>{id}</Anchor><Text size="xs" c="dimmed">{architecture}</Text></div>,
    },
    { name: 'status', title: t('users.status'), order: 'status', text: ({ status }) => status, render: ({ status, statusChanged }) => <div><Status word={status} /><Text size="xs" c="dimmed" style={{ whiteSpace: 'nowrap' }}>{formatAgo(statusChanged, i18n.language)}</Text></div> },
    { name: 'group', title: t('sessions.resourceGroup'), order: 'scaling_group', text: ({ resourceGroup }) => resourceGroup, render: ({ resourceGroup }) => resourceGroup },
    { name: 'use', title: t('agents.use'), render: (agent) => <Stack gap={6} miw={220}><Use agent={agent} /></Stack> },
    { name: 'containers', title: t('agents.containers'), text: ({ containers }) => String(containers), render: ({ containers }) => containers },
    {
      name: 'schedulable', title: t('agents.schedulable'), order: 'schedulable', text: ({ schedulable }) => String(schedulable),
      render: (agent) => <Switch checked={agent.schedulable} onChange={(event) => setSchedulable({ agent, schedulable: event.currentTarget.checked })} aria-label={`${t('agents.schedulable')}: ${agent.id}`} />,
    },
    { name: 'version', title: t('agents.version'), text: ({ version }) => version, render: ({ version }) => version, isExtra: true },
    { name: 'address', title: t('agents.address'), text: ({ address }) => address, render: ({ address }) => <Text size="xs" className="mono">{address}</Text>, isExtra: true },
  ]
}

/** What is held of what the node has. */
function Use({ agent: { capacity, occupied } }: { agent: Agent }) {
  return slotsIn(capacity).map((slot) => <Meter key={slot} name={slotName(slot)} slot={slot} used={amountOf(occupied, slot)} limit={amountOf(capacity, slot)} />)
}

function AgentDrawer({ agent, onClose }: { agent: Agent | null; onClose: () => void }) {
  const { t, i18n } = useTranslation()
  const { deedsOf } = useAgentActions()
  const measured: Fact[] = agent ? Object.entries(agent.live).map(([name, { current, pct, unit_hint }]) => [name, `${unit_hint === 'bytes' ? formatBytes(current) : round(Number(current))}${pct ? ` (${round(Number(pct))}%)` : ''}`]) : []
  return (
    <Drawer opened={agent !== null} onClose={onClose} position="right" size={560} closeButtonProps={{ 'aria-label': t('action.close') }} title={<Title order={2} size="h4">{agent?.id}</Title>}>
      {agent && (
        <Stack>
          <Group gap="xs">{deedsOf(agent).map(({ label, onClick }) => <Button key={label} size="xs" variant="default" onClick={onClick}>{label}</Button>)}</Group>
          <Use agent={agent} />
          <Facts
            facts={[
              [t('users.status'), <Status key="status" word={agent.status} />], [t('agents.schedulable'), t(agent.schedulable ? 'admin.yes' : 'admin.no')],
              [t('sessions.resourceGroup'), agent.resourceGroup], [t('agents.containers'), agent.containers], [t('agents.architecture'), agent.architecture],
              [t('agents.version'), agent.version], [t('agents.address'), agent.address], [t('agents.firstContact'), formatTime(agent.firstContact, i18n.language)], ...measured,
            ]}
          />
        </Stack>
      )}
    </Drawer>
  )
}
