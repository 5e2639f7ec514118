/** Groups of nodes that sessions are scheduled in. */
import { Button, Text } from '@mantine/core'
import { IconCpu, IconPlus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { createResourceGroup, deleteResourceGroup, listAllResourceGroups, modifyResourceGroup, type ResourceGroupChange, type ResourceGroupDetail } from '../../api/agents'
import { confirm } from '../../parts/confirm'
import type { Column } from '../../parts/DataTable'
import { Empty } from '../../parts/Empty'
import { openForm, type Field } from '../../parts/FieldForm'
import { useListView } from '../../parts/listView'
import { Page } from '../../parts/Page'
import { RowMenu, type Deed } from '../../parts/RowMenu'
import { Status } from '../../parts/Status'
import { useAct } from '../../parts/useAct'
import { CHOICES } from '../../parts/useChoices'
import { WholeTable } from '../../parts/WholeTable'

const TOUCHED = [['resource-groups'], CHOICES]
const BLANK: Form = {
  name: '', description: '', is_active: true, is_public: true, wsproxy_addr: '', driver: 'static', scheduler: 'fifo', scheduler_opts: '{}', use_host_network: false,
}

type Form = ResourceGroupChange & { name: string }

export default function ResourceGroups() {
  const { t } = useTranslation()
  const [view, setView] = useListView('name')
  const { askNew, deedsOf } = useActions()
  const query = useQuery({ queryKey: ['resource-groups'], queryFn: listAllResourceGroups })
  const columns: Column<ResourceGroupDetail>[] = [
    { name: 'name', title: t('admin.name'), order: 'name', text: ({ name }) => name, render: ({ name, description }) => <div style={{ minWidth: 160 }}><Text size="sm" fw={600}>{name}</Text><Text size="xs" c="dimmed">{description}</Text></div> },
    { name: 'status', title: t('users.status'), order: 'status', text: ({ is_active }) => (is_active ? 'active' : 'inactive'), render: ({ is_active }) => <Status word={is_active ? 'active' : 'inactive'} /> },
    { name: 'public', title: t('resourceGroups.public'), text: ({ is_public }) => String(is_public), render: ({ is_public }) => t(is_public ? 'admin.yes' : 'admin.no') },
    { name: 'scheduler', title: t('resourceGroups.scheduler'), text: ({ scheduler }) => scheduler, render: ({ scheduler }) => scheduler },
    { name: 'proxy', title: t('resourceGroups.proxy'), text: ({ wsproxy_addr }) => wsproxy_addr ?? '', render: ({ wsproxy_addr }) => <Text size="sm" className="mono">{wsproxy_addr || '–'}</Text> },
    { name: 'options', title: t('resourceGroups.options'), text: ({ scheduler_opts }) => scheduler_opts, render: ({ scheduler_opts }) => <Text size="xs" className="mono" maw={300} truncate title={scheduler_opts}>{scheduler_opts}</Text>, isExtra: true },
    { name: 'actions', title: t('admin.actions'), render: (group) => <RowMenu name={group.name} deeds={deedsOf(group)} /> },
  ]
  return (
    <Page title={t('resourceGroups.title')} hint={t('resourceGroups.hint')} actions={<Button leftSection={<IconPlus size={16} />} onClick={askNew}>{t('resourceGroups.create')}</Button>}>
      <WholeTable
        name="resource-groups" query={query} columns={columns} idOf={({ name }) => name} view={view} onView={setView}
        filters={[{ name: 'name', title: t('admin.name') }]} empty={<Empty icon={IconCpu} title={t('admin.nothingFound')} />}
      />
    </Page>
  )
}

function useActions() {
  const { t } = useTranslation()
  const create = useAct<Form>({ act: ({ name, ...props }) => createResourceGroup(name, props), done: ({ name }) => t('admin.created', { name }), touches: TOUCHED })
  const modify = useAct<{ name: string; props: Partial<ResourceGroupChange> }>({ act: ({ name, props }) => modifyResourceGroup(name, props), done: t('admin.saved'), touches: TOUCHED })
  const remove = useAct<string>({ act: deleteResourceGroup, done: (name) => t('admin.deleted', { name }), touches: TOUCHED })
  const fieldsOf = (isNew: boolean): Field<Form>[] => [
    { name: 'name', label: t('admin.name'), kind: 'text', isRequired: true, isDisabled: !isNew },
    { name: 'description', label: t('admin.description'), kind: 'text' },
    { name: 'wsproxy_addr', label: t('resourceGroups.proxy'), hint: t('resourceGroups.proxyHint'), kind: 'text' },
    { name: 'scheduler_opts', label: t('resourceGroups.options'), hint: t('resourceGroups.optionsHint'), kind: 'json' },
    { name: 'is_active', label: t('admin.active'), kind: 'switch' },
    { name: 'is_public', label: t('resourceGroups.public'), kind: 'switch' },
  ]
  const askNew = () => openForm<Form>(t('resourceGroups.create'), { fields: fieldsOf(true), initial: BLANK, submit: t('action.create'), onSubmit: (values) => create.mutateAsync(values) })
  const askChange = ({ created_at: _, ...group }: ResourceGroupDetail) =>
    openForm<Form>(t('admin.modifyTitle', { name: group.name }), {
      fields: fieldsOf(false), initial: { ...group, wsproxy_addr: group.wsproxy_addr ?? '' }, submit: t('action.save'),
      onSubmit: ({ name, ...props }) => modify.mutateAsync({ name, props }),
    })
  const deedsOf = (group: ResourceGroupDetail): Deed[] => [
    { label: t('action.modify'), onClick: () => askChange(group) },
    { label: t(group.is_active ? 'admin.deactivate' : 'admin.activate'), onClick: () => modify.mutate({ name: group.name, props: { is_active: !group.is_active } }) },
    {
      label: t('action.delete'), isDanger: true,
      onClick: () => confirm({ title: t('admin.deleteTitle', { name: group.name }), message: t('resourceGroups.deleteHint'), confirm: t('action.delete'), onConfirm: () => remove.mutateAsync(group.name).catch(() => undefined) }),
    },
  ]
  return { askNew, deedsOf }
}
