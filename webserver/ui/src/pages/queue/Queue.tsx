/** What waits, at which place, and for what. */
import { Anchor, Button, Text } from '@mantine/core'
import { IconHourglass } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { shortName } from '../../api/images'
import { listQueue, setPriority, type Waiting } from '../../api/queue'
import { formatSlots } from '../../format/slots'
import { formatAgo, readable } from '../../format/times'
import { useSessionsEvents } from '../../live/events'
import type { Column } from '../../parts/DataTable'
import { Empty } from '../../parts/Empty'
import { openForm } from '../../parts/FieldForm'
import { useListView } from '../../parts/listView'
import { Page } from '../../parts/Page'
import { RowMenu } from '../../parts/RowMenu'
import { useAct } from '../../parts/useAct'
import { WholeTable } from '../../parts/WholeTable'
import { useSessionActions } from '../sessions/useSessionActions'

// Why something waits can change without an event.
const LOOK_MILLISECONDS = 30_000

export default function Queue() {
  const { t } = useTranslation()
  const [view, setView] = useListView('')
  const { askEnd } = useSessionActions()
  const priority = useAct<{ id: string; priority: number }>({ act: ({ id, priority: wanted }) => setPriority(id, wanted), done: t('admin.saved'), touches: [['sessions']] })
  const query = useQuery({ queryKey: ['sessions', 'queue'], queryFn: async ({ signal }) => (await listQueue(signal)).items, refetchInterval: LOOK_MILLISECONDS })
  useSessionsEvents()
  const askPriority = (session: Waiting) =>
    openForm(t('queue.priorityTitle', { name: session.name }), {
      fields: [{ name: 'priority', label: t('sessions.priority'), hint: t('queue.priorityHint'), kind: 'number', isRequired: true }],
      initial: { priority: session.priority },
      submit: t('action.save'),
      onSubmit: (values) => priority.mutateAsync({ id: session.id, priority: values.priority }),
    })
  const columns: Column<Waiting>[] = [
    ...useColumns(),
    {
      name: 'actions', title: t('admin.actions'),
      render: (session) => (
        <RowMenu name={session.name} deeds={[{ label: t('queue.priority'), onClick: () => askPriority(session) }, { label: t('sessions.terminate'), onClick: () => askEnd([session]), isDanger: true }]} />
      ),
    },
  ]
  return (
    <Page title={t('queue.title')} hint={t('queue.hint')}>
      <WholeTable
        name="queue" query={query} columns={columns} idOf={({ id }) => id} view={view} onView={setView}
        filters={[{ name: 'name', title: t('sessions.name') }, { name: 'group', title: t('sessions.resourceGroup') }, { name: 'owner', title: t('sessions.owner') }]}
        empty={<Empty icon={IconHourglass} title={t('queue.emptyTitle')} hint={t('queue.emptyHint')} action={<Button component={Link} to="/sessions?who=all" variant="light">{t('sessions.title')}</Button>} />}
      />
    </Page>
  )
}

function useColumns(): Column<Waiting>[] {
  const { t, i18n } = useTranslation()
  return [
    { name: 'position', title: t('queue.position'), text: ({ position }) => String(position), render: ({ position }) => <Text fw={700}>{position}</Text> },
    {
      name: 'name', title: t('sessions.name'), text: ({ name }) => name,
      render: ({ id, name, image }) => <div><Anchor component={Link} to={`/sessions?who=all&open=${id}`} size="sm" fw={600}>{name}</Anchor><Text size="xs" c="dimmed">{shortName(image)}</Text></div>,
    },
    { name: 'group', title: t('sessions.resourceGroup'), text: ({ scalingGroup }) => scalingGroup, render: ({ scalingGroup }) => scalingGroup },
    { name: 'owner', title: t('sessions.owner'), text: ({ email }) => email, render: ({ email, projectName }) => <div><Text size="sm">{email}</Text><Text size="xs" c="dimmed">{projectName}</Text></div> },
    { name: 'slots', title: t('sessions.slots'), text: ({ slots }) => formatSlots(slots), render: ({ slots }) => <Text size="sm" style={{ whiteSpace: 'nowrap' }}>{formatSlots(slots)}</Text> },
    { name: 'priority', title: t('sessions.priority'), text: ({ priority }) => String(priority), render: ({ priority }) => priority },
    { name: 'since', title: t('queue.since'), text: ({ createdAt }) => createdAt, render: ({ createdAt }) => <Text size="sm" style={{ whiteSpace: 'nowrap' }}>{formatAgo(createdAt, i18n.language)}</Text> },
    { name: 'why', title: t('sessions.why'), text: ({ waiting, statusInfo }) => waiting || statusInfo, render: ({ waiting, statusInfo }) => <Text size="sm" maw={360}>{readable(waiting || statusInfo, i18n.language) || '–'}</Text> },
  ]
}
