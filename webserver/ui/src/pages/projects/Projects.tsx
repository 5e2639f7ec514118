/** Projects: who works together, and how much they may use. */
import { Anchor, Button, Text } from '@mantine/core'
import { IconPlus, IconUsersGroup } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { listProjects, type Project } from '../../api/projects'
import { formatSlots } from '../../format/slots'
import { formatTime } from '../../format/times'
import type { Column } from '../../parts/DataTable'
import { Empty } from '../../parts/Empty'
import { useListView } from '../../parts/listView'
import { Page } from '../../parts/Page'
import { RowMenu } from '../../parts/RowMenu'
import { Status } from '../../parts/Status'
import { useOpen } from '../../parts/useOpen'
import { WholeTable } from '../../parts/WholeTable'
import { ProjectDrawer } from './ProjectDrawer'
import { useProjectActions } from './useProjectActions'

const KEPT = ['open']

export default function Projects() {
  const { t } = useTranslation()
  const [view, setView] = useListView('name', KEPT)
  const [opened, open] = useOpen()
  const { askNew, deedsOf } = useProjectActions()
  const query = useQuery({ queryKey: ['projects'], queryFn: listProjects })
  const columns: Column<Project>[] = [
    ...useColumns(open),
    { name: 'actions', title: t('admin.actions'), render: (project) => <RowMenu name={project.name} deeds={deedsOf(project)} /> },
  ]
  return (
    <Page title={t('projects.title')} hint={t('projects.hint')} actions={<Button leftSection={<IconPlus size={16} />} onClick={askNew}>{t('projects.create')}</Button>}>
      <WholeTable
        name="projects" query={query} columns={columns} idOf={({ id }) => id} view={view} onView={setView} onOpen={({ id }) => open(id)}
        filters={[{ name: 'name', title: t('admin.name') }, { name: 'status', title: t('users.status'), words: ['active', 'inactive'] }]}
        keyOf={(project, name) => (name === 'members' ? project.members.length : undefined)}
        empty={<Empty icon={IconUsersGroup} title={t('admin.nothingFound')} hint={t('projects.emptyHint')} action={<Button onClick={askNew}>{t('projects.create')}</Button>} />}
      />
      <ProjectDrawer project={query.data?.find(({ id }) => id === opened) ?? null} onClose={() => open(null)} />
    </Page>
  )
}

function useColumns(open: (id: string) => void): Column<Project>[] {
  const { t, i18n } = useTranslation()
  return [
    {
      name: 'name', title: t('admin.name'), order: 'name', text: ({ name }) => name,
      render: ({ id, name, description }) => (
        <div style={{ minWidth: 120 }}>
          <Anchor component="button" type="button" size="sm" fw={600} onClick={() => open(id)}>{name}</Anchor>
          {description && <Text size="xs" c="dimmed" lineClamp={1} maw={260}>{description}</Text>}
        </div>
      ),
    },
    { name: 'status', title: t('users.status'), order: 'status', text: ({ isActive }) => (isActive ? 'active' : 'inactive'), render: ({ isActive }) => <Status word={isActive ? 'active' : 'inactive'} /> },
    { name: 'domain', title: t('users.domain'), order: 'domain', text: ({ domain }) => domain, render: ({ domain }) => domain },
    { name: 'members', title: t('projects.members'), order: 'members', text: ({ members }) => String(members.length), render: ({ members }) => members.length },
    { name: 'limits', title: t('projects.limits'), text: ({ limits }) => formatSlots(limits), render: ({ limits }) => <Text size="sm" style={{ whiteSpace: 'nowrap' }}>{formatSlots(limits) || t('admin.noLimit')}</Text> },
    { name: 'policy', title: t('projects.policy'), order: 'policy', text: ({ policy }) => policy, render: ({ policy }) => policy },
    { name: 'groups', title: t('resourceGroups.title'), text: ({ resourceGroups }) => resourceGroups.join(', '), render: ({ resourceGroups }) => resourceGroups.join(', ') || '–', isExtra: true },
    { name: 'created', title: t('admin.createdAt'), order: 'created', text: ({ createdAt }) => createdAt, render: ({ createdAt }) => formatTime(createdAt, i18n.language), isExtra: true },
  ]
}
