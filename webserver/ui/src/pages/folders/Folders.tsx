/** The folders that one may use, those in the bin, and what one is invited to. */
import { ActionIcon, Anchor, Badge, Button, Card, Group, Menu, Stack, Tabs, Text } from '@mantine/core'
import { IconDots, IconFolder, IconFolderPlus, IconMailbox, IconTrash } from '@tabler/icons-react'
import { useQuery, type UseQueryResult } from '@tanstack/react-query'
import { useEffect, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, useNavigate, useSearchParams } from 'react-router'
import { acceptInvitation, declineInvitation, listFolders, listInvitations, type Folder, type Invitation } from '../../api/folders'
import type { Page as PageOf } from '../../api/graph'
import { formatAgo } from '../../format/times'
import { Ask } from '../../parts/Ask'
import { DataTable, type Column } from '../../parts/DataTable'
import { Empty } from '../../parts/Empty'
import { pageHere, useListView, type Filter } from '../../parts/listView'
import { Page } from '../../parts/Page'
import { Status } from '../../parts/Status'
import { useAct } from '../../parts/useAct'
import { useHere } from '../../shell/me'
import { useFolderActions } from './useFolderActions'

const KEPT = ['tab', 'new']
const BINNED = ['delete-pending', 'delete-ongoing', 'delete-error']
const TABS = ['mine', 'bin', 'invitations'] as const

export default function Folders() {
  const { t } = useTranslation()
  const { project } = useHere()
  const [params, setParams] = useSearchParams()
  const { askNew } = useFolderActions()
  const tab = TABS.find((name) => name === params.get('tab')) ?? 'mine'
  const query = useQuery({ queryKey: ['folders', project?.id], queryFn: () => listFolders(project?.id) })
  const isNew = params.get('new') !== null
  useEffect(() => {
    if (!isNew) return
    setParams({}, { replace: true })
    askNew()
    // Once for the address that asks for it.
  }, [isNew])
  return (
    <Page title={t('folders.title')} hint={t('folders.hint')} actions={<Button leftSection={<IconFolderPlus size={16} />} onClick={askNew}>{t('folders.create')}</Button>}>
      <Tabs value={tab} onChange={(next) => setParams(next && next !== 'mine' ? { tab: next } : {})} keepMounted={false}>
        <Tabs.List mb="md">{TABS.map((name) => <Tabs.Tab key={name} value={name}>{t(`folders.${name}`)}</Tabs.Tab>)}</Tabs.List>
        <Tabs.Panel value="mine">
          <List query={query} isBin={false} empty={<Empty icon={IconFolder} title={t('folders.emptyTitle')} hint={t('folders.emptyHint')} action={<Button onClick={askNew}>{t('folders.create')}</Button>} />} />
        </Tabs.Panel>
        <Tabs.Panel value="bin"><List query={query} isBin empty={<Empty icon={IconTrash} title={t('folders.emptyBin')} hint={t('folders.emptyBinHint')} />} /></Tabs.Panel>
        <Tabs.Panel value="invitations"><Invitations /></Tabs.Panel>
      </Tabs>
    </Page>
  )
}

function valueOf(folder: Folder, name: string): string {
  return String(name === 'owner' ? ownerOf(folder) : folder[name as keyof Folder])
}

function ownerOf({ group_name, user_email }: Folder): string {
  return group_name ?? user_email ?? ''
}

function List({ query, isBin, empty }: { query: UseQueryResult<Folder[]>; isBin: boolean; empty: ReactNode }) {
  const { t } = useTranslation()
  const navigate = useNavigate()
  const [view, setView] = useListView('name', KEPT)
  const columns = useColumns(isBin)
  const filters: Filter[] = [{ name: 'name', title: t('folders.name') }, { name: 'usage_mode', title: t('folders.usageMode'), words: ['general', 'data', 'model'] }]
  const shown = (query.data ?? []).filter(({ status }) => BINNED.includes(status) === isBin)
  // The API gives the whole list; the table takes pages.
  const page = { ...query, data: query.data && pageHere(shown, view, filters, valueOf) } as UseQueryResult<PageOf<Folder>>
  return (
    <DataTable
      name="folders" query={page} columns={columns} idOf={({ id }) => id} view={view} onView={setView} filters={filters} empty={empty}
      {...(!isBin && { onOpen: ({ id }: Folder) => void navigate(`/folders/${id}`) })}
    />
  )
}

function useColumns(isBin: boolean): Column<Folder>[] {
  const { t, i18n } = useTranslation()
  return [
    {
      name: 'name', title: t('folders.name'), order: 'name', text: ({ name }) => name,
      render: (folder) => (
        <Group gap="xs" wrap="nowrap">
          <IconFolder size={18} stroke={1.6} aria-hidden style={{ flexShrink: 0 }} />
          {isBin ? <Text size="sm">{folder.name}</Text> : <Anchor component={Link} to={`/folders/${folder.id}`} size="sm" fw={600}>{folder.name}</Anchor>}
          {folder.status !== 'ready' && <Status word={folder.status} />}
        </Group>
      ),
    },
    { name: 'usage_mode', title: t('folders.usageMode'), order: 'usage_mode', text: ({ usage_mode }) => usage_mode, render: ({ usage_mode }) => t(`folders.${usage_mode}`) },
    {
      name: 'owner', title: t('folders.owner'), order: 'owner', text: ownerOf,
      render: (folder) => folder.is_owner && folder.ownership_type === 'user' ? t('folders.ownerMe') : <Group gap={6} wrap="nowrap">{ownerOf(folder)}{folder.ownership_type === 'group' && <Badge size="xs" variant="default" tt="none" miw="max-content">{t('sessions.project')}</Badge>}</Group>,
    },
    { name: 'permission', title: t('folders.permission'), order: 'permission', text: ({ permission }) => permission, render: ({ permission }) => t(`folders.${permission}`) },
    { name: 'host', title: t('folders.host'), order: 'host', text: ({ host }) => host, render: ({ host }) => <Text size="sm" className="mono">{host}</Text> },
    { name: 'created_at', title: t('folders.createdAt'), order: 'created_at', text: ({ created_at }) => created_at, render: ({ created_at }) => <Text size="sm" style={{ whiteSpace: 'nowrap' }}>{formatAgo(created_at, i18n.language)}</Text> },
    { name: 'actions', title: t('folders.actions'), render: (folder) => <Actions folder={folder} isBin={isBin} /> },
  ]
}

function Actions({ folder, isBin }: { folder: Folder; isBin: boolean }) {
  const { t } = useTranslation()
  const { askName, askPurge, askLeave, askShare, toBin, restore } = useFolderActions()
  const navigate = useNavigate()
  if (isBin) {
    return (
      <Group gap="xs" wrap="nowrap">
        <Button size="compact-xs" variant="light" onClick={() => restore(folder)}>{t('folders.restore')}</Button>
        <Button size="compact-xs" variant="light" color="red" onClick={() => askPurge(folder)}>{t('folders.purge')}</Button>
      </Group>
    )
  }
  const isShared = !folder.is_owner && folder.ownership_type === 'user'
  return (
    <Menu position="bottom-end">
      <Menu.Target><ActionIcon variant="subtle" color="gray" aria-label={t('folders.actions')}><IconDots size={18} /></ActionIcon></Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => void navigate(`/launch?mount=${folder.id}`)}>{t('folders.launch')}</Menu.Item>
        {isShared ? (
          <Menu.Item color="red" onClick={() => askLeave(folder)}>{t('folders.leave')}</Menu.Item>
        ) : (
          <>
            <Menu.Item onClick={() => askShare(folder)}>{t('folders.share')}</Menu.Item>
            <Menu.Item onClick={() => askName(folder)}>{t('folders.rename')}</Menu.Item>
            <Menu.Item color="red" onClick={() => toBin(folder)}>{t('folders.toBin')}</Menu.Item>
          </>
        )}
      </Menu.Dropdown>
    </Menu>
  )
}

function Invitations() {
  const { t } = useTranslation()
  const query = useQuery({ queryKey: ['invitations'], queryFn: listInvitations })
  const touches = [['invitations'], ['folders']]
  const accept = useAct<Invitation>({ act: ({ id }) => acceptInvitation(id), done: ({ vfolder_name }) => t('folders.accepted', { name: vfolder_name }), touches })
  const decline = useAct<Invitation>({ act: ({ id }) => declineInvitation(id), done: t('folders.declined'), touches })
  return (
    <Ask query={query}>
      {(found) => found.length ? (
        <Stack>
          {found.map((invitation) => (
            <Card key={invitation.id} padding="sm">
              <Group justify="space-between">
                <div>
                  <Text fw={600}>{invitation.vfolder_name}</Text>
                  <Text size="sm" c="dimmed">{t('folders.invitedBy', { email: invitation.inviter })} · {t(`folders.${invitation.perm}`)}</Text>
                </div>
                <Group gap="xs">
                  <Button size="xs" onClick={() => accept.mutate(invitation)}>{t('folders.accept')}</Button>
                  <Button size="xs" variant="default" onClick={() => decline.mutate(invitation)}>{t('folders.decline')}</Button>
                </Group>
              </Group>
            </Card>
          ))}
        </Stack>
      ) : <Card><Empty icon={IconMailbox} title={t('folders.noInvitations')} hint={t('folders.noInvitationsHint')} /></Card>}
    </Ask>
  )
}
