/** How much keypairs, users and projects may use; a tab for each kind. */
import { Button, Tabs, Text } from '@mantine/core'
import { IconPlus, IconShieldCheck } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { useSearchParams } from 'react-router'
import { listPolicies, POLICY_KINDS, type Policy, type PolicyKind } from '../../api/policies'
import { formatBytes } from '../../format/numbers'
import { formatSlots } from '../../format/slots'
import { formatSpan, formatTime } from '../../format/times'
import type { Column } from '../../parts/DataTable'
import { Empty } from '../../parts/Empty'
import { useListView } from '../../parts/listView'
import { Page } from '../../parts/Page'
import { RowMenu } from '../../parts/RowMenu'
import { WholeTable } from '../../parts/WholeTable'
import { usePolicyActions } from './usePolicyActions'

const KEPT = ['tab']

export default function Policies() {
  const { t } = useTranslation()
  const [params, setParams] = useSearchParams()
  const kind = POLICY_KINDS.find((one) => one === params.get('tab')) ?? 'keypair'
  const { askNew } = usePolicyActions(kind)
  return (
    <Page title={t('policies.title')} hint={t('policies.hint')} actions={<Button leftSection={<IconPlus size={16} />} onClick={askNew}>{t('policies.create')}</Button>}>
      <Tabs value={kind} onChange={(next) => setParams(next && next !== 'keypair' ? { tab: next } : {})} keepMounted={false}>
        <Tabs.List mb="md">{POLICY_KINDS.map((one) => <Tabs.Tab key={one} value={one}>{t(`policies.${one}`)}</Tabs.Tab>)}</Tabs.List>
        {POLICY_KINDS.map((one) => <Tabs.Panel key={one} value={one}><List kind={one} /></Tabs.Panel>)}
      </Tabs>
    </Page>
  )
}

function List({ kind }: { kind: PolicyKind }) {
  const { t, i18n } = useTranslation()
  const [view, setView] = useListView('name', KEPT)
  const { deedsOf } = usePolicyActions(kind)
  const query = useQuery({ queryKey: ['policies', kind], queryFn: () => listPolicies(kind) })
  const limits = useLimits()
  const columns: Column<Policy>[] = [
    { name: 'name', title: t('admin.name'), order: 'name', text: ({ name }) => name, render: ({ name }) => <Text size="sm" fw={600}>{name}</Text> },
    ...(kind === 'keypair' ? limits.keypair : limits.folders),
    { name: 'created', title: t('admin.createdAt'), order: 'created', text: ({ createdAt }) => createdAt, render: ({ createdAt }) => formatTime(createdAt, i18n.language), isExtra: true },
    { name: 'actions', title: t('admin.actions'), render: (policy) => <RowMenu name={policy.name} deeds={deedsOf(policy)} /> },
  ]
  return (
    <WholeTable
      name={`policies.${kind}`} query={query} columns={columns} idOf={({ name }) => name} view={view} onView={setView}
      filters={[{ name: 'name', title: t('admin.name') }]} empty={<Empty icon={IconShieldCheck} title={t('admin.nothingFound')} />}
    />
  )
}

function useLimits(): { keypair: Column<Policy>[]; folders: Column<Policy>[] } {
  const { t } = useTranslation()
  const plain = (name: string, title: string, text: (policy: Policy) => string): Column<Policy> => ({ name, title, text, render: (policy) => <Text size="sm" style={{ whiteSpace: 'nowrap' }}>{text(policy)}</Text> })
  const span = (seconds: number | null) => (seconds ? formatSpan(seconds) : t('admin.noLimit'))
  const count = (most: number | null) => (most ? String(most) : t('admin.noLimit'))
  return {
    keypair: [
      plain('slots', t('policies.slots'), ({ slots, unspecified }) => formatSlots(slots) || (unspecified === 'UNLIMITED' ? t('admin.noLimit') : '0')),
      plain('sessions', t('policies.sessionsMax'), ({ sessionsMax }) => count(sessionsMax)),
      plain('containers', t('policies.containersMax'), ({ containersMax }) => count(containersMax)),
      plain('idle', t('policies.idle'), ({ idleSeconds }) => span(idleSeconds)),
      plain('lifetime', t('policies.lifetime'), ({ lifetime }) => span(lifetime)),
      plain('hosts', t('projects.hosts'), ({ hosts }) => Object.keys(hosts).join(', ') || '–'),
    ],
    folders: [
      plain('folders', t('policies.foldersMax'), ({ foldersMax }) => count(foldersMax)),
      plain('quota', t('policies.quota'), ({ quota }) => (quota === null ? t('admin.noLimit') : formatBytes(quota))),
    ],
  }
}
