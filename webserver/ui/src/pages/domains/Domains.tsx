/** Domains: tenants that do not see each other. */
import { Button, Text } from '@mantine/core'
import { IconBuilding, IconPlus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { listDomains, type Domain } from '../../api/projects'
import { formatSlots } from '../../format/slots'
import { formatTime } from '../../format/times'
import type { Column } from '../../parts/DataTable'
import { Empty } from '../../parts/Empty'
import { useListView } from '../../parts/listView'
import { Page } from '../../parts/Page'
import { RowMenu } from '../../parts/RowMenu'
import { Status } from '../../parts/Status'
import { WholeTable } from '../../parts/WholeTable'
import { useDomainActions } from './useDomainActions'

export default function Domains() {
  const { t } = useTranslation()
  const [view, setView] = useListView('name')
  const { askNew, deedsOf } = useDomainActions()
  const query = useQuery({ queryKey: ['domains'], queryFn: listDomains })
  const columns: Column<Domain>[] = [
    ...useColumns(),
    { name: 'actions', title: t('admin.actions'), render: (domain) => <RowMenu name={domain.name} deeds={deedsOf(domain)} /> },
  ]
  return (
    <Page title={t('domains.title')} hint={t('domains.hint')} actions={<Button leftSection={<IconPlus size={16} />} onClick={askNew}>{t('domains.create')}</Button>}>
      <WholeTable
        name="domains" query={query} columns={columns} idOf={({ name }) => name} view={view} onView={setView}
        filters={[{ name: 'name', title: t('admin.name') }, { name: 'status', title: t('users.status'), words: ['active', 'inactive'] }]}
        empty={<Empty icon={IconBuilding} title={t('admin.nothingFound')} />}
      />
    </Page>
  )
}

function useColumns(): Column<Domain>[] {
  const { t, i18n } = useTranslation()
  return [
    {
      name: 'name', title: t('admin.name'), order: 'name', text: ({ name }) => name,
      render: ({ name, description }) => <div><Text size="sm" fw={600}>{name}</Text>{description && <Text size="xs" c="dimmed" lineClamp={1} maw={260}>{description}</Text>}</div>,
    },
    { name: 'status', title: t('users.status'), order: 'status', text: ({ isActive }) => (isActive ? 'active' : 'inactive'), render: ({ isActive }) => <Status word={isActive ? 'active' : 'inactive'} /> },
    { name: 'limits', title: t('projects.limits'), text: ({ limits }) => formatSlots(limits), render: ({ limits }) => <Text size="sm" style={{ whiteSpace: 'nowrap' }}>{formatSlots(limits) || t('admin.noLimit')}</Text> },
    { name: 'hosts', title: t('projects.hosts'), text: ({ hosts }) => Object.keys(hosts).join(', '), render: ({ hosts }) => Object.keys(hosts).join(', ') || '–' },
    { name: 'groups', title: t('resourceGroups.title'), text: ({ resourceGroups }) => resourceGroups.join(', '), render: ({ resourceGroups }) => resourceGroups.join(', ') || '–' },
    { name: 'created', title: t('admin.createdAt'), order: 'created', text: ({ createdAt }) => createdAt, render: ({ createdAt }) => formatTime(createdAt, i18n.language), isExtra: true },
  ]
}
