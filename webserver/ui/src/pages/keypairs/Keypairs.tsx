/** The keypairs that everybody calls with. */
import { Anchor, Button, SegmentedControl, Text } from '@mantine/core'
import { IconKey } from '@tabler/icons-react'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { Link, useSearchParams } from 'react-router'
import { listKeypairs, type Keypair } from '../../api/users'
import { formatAgo, formatTime } from '../../format/times'
import { Copy } from '../../parts/Copy'
import { DataTable, type Column } from '../../parts/DataTable'
import { Empty } from '../../parts/Empty'
import { pageAskOf, useListView, type Filter } from '../../parts/listView'
import { Page } from '../../parts/Page'
import { RowMenu } from '../../parts/RowMenu'
import { Status } from '../../parts/Status'
import { useKeypairActions } from './useKeypairActions'

const KEPT = ['show']

export default function Keypairs() {
  const { t } = useTranslation()
  const [params, setParams] = useSearchParams()
  const [view, setView] = useListView('-created_at', KEPT)
  const { askNew, deedsOf } = useKeypairActions()
  const isActive = params.get('show') !== 'inactive'
  const filters: Filter[] = [{ name: 'email', title: t('users.email') }, { name: 'access_key', title: t('keypairs.accessKey') }]
  const query = useQuery({
    queryKey: ['keypairs', isActive, view],
    queryFn: ({ signal }) => listKeypairs(pageAskOf(view, filters), { is_active: isActive }, signal),
    placeholderData: keepPreviousData,
  })
  const columns: Column<Keypair>[] = [
    ...useColumns(),
    { name: 'actions', title: t('admin.actions'), render: (keypair) => <RowMenu name={keypair.access_key} deeds={deedsOf(keypair)} /> },
  ]
  return (
    <Page title={t('keypairs.title')} hint={t('keypairs.hint')} actions={<Button leftSection={<IconKey size={16} />} onClick={() => askNew()}>{t('keypairs.create')}</Button>}>
      <SegmentedControl
        value={isActive ? '' : 'inactive'} onChange={(value) => setParams(value ? { show: value } : {})} aria-label={t('users.status')} style={{ alignSelf: 'flex-start' }}
        data={[{ value: '', label: t('admin.active') }, { value: 'inactive', label: t('admin.inactive') }]}
      />
      <DataTable
        name="keypairs" query={query} columns={columns} idOf={({ access_key }) => access_key} view={view} onView={setView} filters={filters}
        empty={<Empty icon={IconKey} title={t('admin.nothingFound')} hint={t('keypairs.emptyHint')} />}
      />
    </Page>
  )
}

function useColumns(): Column<Keypair>[] {
  const { t, i18n } = useTranslation()
  return [
    { name: 'access_key', title: t('keypairs.accessKey'), order: 'access_key', text: ({ access_key }) => access_key, render: ({ access_key }) => <Copy value={access_key} /> },
    { name: 'email', title: t('users.email'), order: 'email', text: ({ user_id }) => user_id, render: ({ user_id }) => <Anchor component={Link} to={`/users?open=${encodeURIComponent(user_id)}`} size="sm">{user_id}</Anchor> },
    { name: 'status', title: t('users.status'), text: ({ is_active }) => String(is_active), render: ({ is_active }) => <Status word={is_active ? 'active' : 'inactive'} /> },
    { name: 'policy', title: t('keypairs.policy'), order: 'resource_policy', text: ({ resource_policy }) => resource_policy, render: ({ resource_policy }) => resource_policy },
    { name: 'used', title: t('keypairs.sessions'), text: ({ concurrency_used }) => String(concurrency_used), render: ({ concurrency_used }) => concurrency_used },
    { name: 'rate_limit', title: t('keypairs.rateLimit'), order: 'rate_limit', text: ({ rate_limit }) => String(rate_limit), render: ({ rate_limit }) => rate_limit.toLocaleString(i18n.language), isExtra: true },
    { name: 'num_queries', title: t('keypairs.queries'), order: 'num_queries', text: ({ num_queries }) => String(num_queries), render: ({ num_queries }) => num_queries, isExtra: true },
    {
      name: 'last_used', title: t('keypairs.lastUsed'), order: 'last_used', text: ({ last_used }) => last_used ?? '',
      render: ({ last_used }) => <Text size="sm" title={formatTime(last_used, i18n.language)} style={{ whiteSpace: 'nowrap' }}>{formatAgo(last_used, i18n.language)}</Text>,
    },
    {
      name: 'created_at', title: t('admin.createdAt'), order: 'created_at', text: ({ created_at }) => created_at, isExtra: true,
      render: ({ created_at }) => <Text size="sm">{formatTime(created_at, i18n.language)}</Text>,
    },
  ]
}
