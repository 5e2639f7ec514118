/** Where images come from. */
import { Button, Text } from '@mantine/core'
import { IconBuildingWarehouse, IconPlus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { listRegistries, type Registry } from '../../api/registries'
import type { Column } from '../../parts/DataTable'
import { Empty } from '../../parts/Empty'
import { useListView } from '../../parts/listView'
import { RowMenu } from '../../parts/RowMenu'
import { WholeTable } from '../../parts/WholeTable'
import { useRegistryActions } from './useRegistryActions'

const KEPT = ['tab', 'task']

export function Registries() {
  const { t } = useTranslation()
  const [view, setView] = useListView('hostname', KEPT)
  const { askNew, deedsOf } = useRegistryActions()
  const query = useQuery({ queryKey: ['registries'], queryFn: listRegistries })
  const columns: Column<Registry>[] = [
    { name: 'hostname', title: t('registries.hostname'), order: 'hostname', text: ({ hostname }) => hostname, render: ({ hostname, type }) => <div><Text size="sm" fw={600}>{hostname}</Text><Text size="xs" c="dimmed">{type}</Text></div> },
    { name: 'url', title: t('registries.url'), order: 'url', text: ({ url }) => url, render: ({ url }) => <Text size="sm" className="mono">{url}</Text> },
    { name: 'projects', title: t('registries.projects'), text: ({ projects }) => projects.join(' '), render: ({ projects }) => projects.join(', ') || t('registries.allProjects') },
    { name: 'username', title: t('users.username'), text: ({ username }) => username, render: ({ username }) => username || t('registries.anonymous') },
    { name: 'ssl', title: t('registries.sslVerify'), text: ({ sslVerify }) => String(sslVerify), render: ({ sslVerify }) => t(sslVerify ? 'admin.yes' : 'admin.no'), isExtra: true },
    { name: 'actions', title: t('admin.actions'), render: (registry) => <RowMenu name={registry.hostname} deeds={deedsOf(registry)} /> },
  ]
  return (
    <WholeTable
      name="registries" query={query} columns={columns} idOf={({ hostname }) => hostname} view={view} onView={setView} filters={[{ name: 'hostname', title: t('registries.hostname') }]}
      empty={
        <Empty
          icon={IconBuildingWarehouse} title={t(view.filters.hostname ? 'admin.nothingFound' : 'registries.emptyTitle')} hint={t('registries.emptyHint')}
          action={<Button leftSection={<IconPlus size={16} />} onClick={askNew}>{t('registries.add')}</Button>}
        />
      }
    />
  )
}
