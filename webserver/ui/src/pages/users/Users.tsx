/** Everybody who has an account here. */
import { Anchor, Button, Text } from '@mantine/core'
import { IconUserPlus, IconUsers } from '@tabler/icons-react'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { listUsers, ROLES, USER_STATUSES, type User } from '../../api/users'
import { formatAgo, formatTime } from '../../format/times'
import { DataTable, type Column } from '../../parts/DataTable'
import { Empty } from '../../parts/Empty'
import { pageAskOf, useListView, type Filter } from '../../parts/listView'
import { Page } from '../../parts/Page'
import { RowMenu } from '../../parts/RowMenu'
import { Status } from '../../parts/Status'
import { useOpen } from '../../parts/useOpen'
import { UserDrawer } from './UserDrawer'
import { useUserActions } from './useUserActions'

const KEPT = ['open']

export default function Users() {
  const { t } = useTranslation()
  const [view, setView] = useListView('email', KEPT)
  const [opened, open] = useOpen()
  const { askNew, askStop, deedsOf } = useUserActions()
  const filters: Filter[] = [
    { name: 'email', title: t('users.email') },
    { name: 'status', title: t('users.status'), words: USER_STATUSES },
    { name: 'role', title: t('users.role'), words: ROLES },
  ]
  const query = useQuery({
    queryKey: ['users', view],
    queryFn: ({ signal }) => listUsers(pageAskOf(view, filters), signal),
    placeholderData: keepPreviousData,
  })
  const columns: Column<User>[] = [
    ...useColumns(open),
    { name: 'actions', title: t('admin.actions'), render: (user) => <RowMenu name={user.email} deeds={deedsOf(user)} /> },
  ]
  return (
    <Page title={t('users.title')} hint={t('users.hint')} actions={<Button leftSection={<IconUserPlus size={16} />} onClick={askNew}>{t('users.create')}</Button>}>
      <DataTable
        name="users" query={query} columns={columns} idOf={({ uuid }) => uuid} view={view} onView={setView} filters={filters} onOpen={({ email }) => open(email)}
        bulk={(users, clear) => <Button size="xs" color="red" variant="light" onClick={() => askStop(users, clear)}>{t('admin.deactivate')}</Button>}
        empty={<Empty icon={IconUsers} title={t('admin.nothingFound')} hint={t('users.emptyHint')} action={<Button onClick={askNew}>{t('users.create')}</Button>} />}
      />
      <UserDrawer email={opened} onClose={() => open(null)} />
    </Page>
  )
}

function useColumns(open: (email: string) => void): Column<User>[] {
  const { t, i18n } = useTranslation()
  return [
    {
      name: 'email', title: t('users.email'), order: 'email', text: ({ email }) => email,
      render: ({ email, full_name, username }) => (
        <div style={{ minWidth: 180 }}>
          <Anchor component="button" type="button" size="sm" fw={600} ta="left" onClick={() => open(email)}>{email}</Anchor>
          <Text size="xs" c="dimmed">{full_name || username}</Text>
        </div>
      ),
    },
    { name: 'status', title: t('users.status'), order: 'status', text: ({ status }) => status, render: ({ status }) => <Status word={status} /> },
    { name: 'role', title: t('users.role'), order: 'role', text: ({ role }) => role, render: ({ role }) => role },
    { name: 'domain', title: t('users.domain'), order: 'domain_name', text: ({ domain_name }) => domain_name, render: ({ domain_name }) => domain_name },
    { name: 'projects', title: t('projects.title'), text: projectsOf, render: (user) => <Text size="sm" maw={240} truncate title={projectsOf(user)}>{projectsOf(user) || '–'}</Text> },
    { name: 'policy', title: t('users.policy'), order: 'resource_policy', text: ({ resource_policy }) => resource_policy, render: ({ resource_policy }) => resource_policy },
    {
      name: 'created_at', title: t('admin.createdAt'), order: 'created_at', text: ({ created_at }) => created_at, isExtra: true,
      render: ({ created_at }) => <Text size="sm" title={formatTime(created_at, i18n.language)}>{formatAgo(created_at, i18n.language)}</Text>,
    },
    { name: 'totp', title: t('users.totp'), order: 'totp_activated', isExtra: true, text: ({ totp_activated }) => String(totp_activated), render: ({ totp_activated }) => t(totp_activated ? 'admin.yes' : 'admin.no') },
  ]
}

function projectsOf({ groups }: User): string {
  return groups.map(({ name }) => name).join(', ')
}
