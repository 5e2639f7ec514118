/** What I use of what I may, what the cluster has free, and what my folders hold. */
import { Anchor, Group, SimpleGrid, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { fetchQuota, listFolders } from '../../api/folders'
import { fetchRoom, type Room } from '../../api/resources'
import { LIVE, listSessions } from '../../api/sessions'
import { formatBytes } from '../../format/numbers'
import { amountOf, formatSlots, slotName, slotsIn, type Slots } from '../../format/slots'
import { Ask } from '../../parts/Ask'
import { Meter } from '../../parts/Meter'
import { Page } from '../../parts/Page'
import { Section } from '../../parts/Section'
import { Status } from '../../parts/Status'
import { useHere } from '../../shell/me'

export default function Dashboard() {
  const { t } = useTranslation()
  const { me, project } = useHere()
  const room = useQuery({ queryKey: ['room', project?.name], queryFn: () => fetchRoom(project!.name), enabled: project !== null })
  const sessions = useQuery({
    queryKey: ['sessions', 'start', me.accessKey],
    queryFn: ({ signal }) => listSessions({ limit: 5, offset: 0, order: '-created_at' }, LIVE, { access_key: me.accessKey }, signal),
  })
  const folders = useQuery({ queryKey: ['folders', project?.id], queryFn: () => listFolders(project?.id) })
  const scopes = scopesOf(folders.data ?? [])
  return (
    <Page title={t('dashboard.title')} hint={t('dashboard.hint')}>
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <Section title={t('dashboard.mine')}>
          {project ? <Ask query={room}>{(data) => <Uses using={data.keypair_using} limits={data.keypair_limits} />}</Ask> : <Text size="sm" c="dimmed">{t('launch.noProject')}</Text>}
        </Section>
        {project && <Section title={t('dashboard.free')}><Ask query={room}>{(data) => <Groups room={data} />}</Ask></Section>}
        <Section title={t('dashboard.sessions')}>
          <Ask query={sessions}>
            {({ items, total }) => (
              <Stack gap="xs">
                {total > 0 ? <Text size="sm">{t('dashboard.live', { count: total })}</Text> : <Text size="sm" c="dimmed">{t('start.none')} <Anchor component={Link} to="/launch" size="sm" underline="always">{t('launch.title')}</Anchor></Text>}
                {items.map(({ id, name, status }) => (
                  <Group key={id} justify="space-between" wrap="nowrap">
                    <Anchor component={Link} to={`/sessions?open=${id}`} size="sm" truncate title={name}>{name}</Anchor>
                    <Status word={status} />
                  </Group>
                ))}
              </Stack>
            )}
          </Ask>
        </Section>
        <Section title={t('dashboard.storage')}>
          <Ask query={folders}>
            {() => scopes.length
              ? <Stack>{scopes.map(({ host, scope }) => <Quota key={host} host={host} scope={scope} />)}</Stack>
              : <Text size="sm" c="dimmed">{t('dashboard.noFolders')} <Anchor component={Link} to="/folders?new=1" size="sm" underline="always">{t('start.folder')}</Anchor></Text>}
          </Ask>
        </Section>
      </SimpleGrid>
    </Page>
  )
}

function Uses({ using, limits }: { using: Slots; limits: Slots }) {
  const { t } = useTranslation()
  const limited = Object.fromEntries(Object.entries(limits).filter(([, limit]) => Number.isFinite(Number(limit))))
  const slots = slotsIn(using, limited)
  if (!slots.length) return <Text size="sm" c="dimmed">{t('dashboard.nothing')}</Text>
  return <Stack>{slots.map((slot) => <Meter key={slot} name={slotName(slot)} slot={slot} used={amountOf(using, slot)} limit={amountOf(limits, slot, Infinity)} color="teal" />)}</Stack>
}

function Groups({ room }: { room: Room }) {
  const { t } = useTranslation()
  return (
    <Stack gap="sm">
      {Object.entries(room.scaling_groups).map(([name, { remaining }]) => (
        <Group key={name} justify="space-between">
          <Text size="sm" fw={600}>{name}</Text>
          <Text size="sm" c="dimmed">{t('dashboard.groupFree', { slots: formatSlots(remaining) || '0' })}</Text>
        </Group>
      ))}
    </Stack>
  )
}

function Quota({ host, scope }: { host: string; scope: string }) {
  const { t } = useTranslation()
  const query = useQuery({ queryKey: ['quota', host, scope], queryFn: () => fetchQuota(host, scope), staleTime: 60_000 })
  return (
    <Ask query={query} height={50}>
      {({ usage, limit }) => limit === null ? (
        <Group justify="space-between"><Text size="sm">{t('dashboard.quota', { host })}</Text><Text size="sm" c="dimmed">{formatBytes(usage)} · {t('dashboard.unlimited')}</Text></Group>
      ) : (
        <Meter name={t('dashboard.quota', { host })} slot="mem" used={usage} limit={limit} />
      )}
    </Ask>
  )
}

const HOSTS_MAX = 2

/** My own quota scopes, one for each host that I have folders on. */
function scopesOf(folders: { host: string; quota_scope_id: string; is_owner: boolean; ownership_type: string }[]) {
  const mine = folders.filter(({ is_owner, ownership_type }) => is_owner && ownership_type === 'user')
  const scopes = new Map(mine.map(({ host, quota_scope_id }) => [host, quota_scope_id]))
  return [...scopes].slice(0, HOSTS_MAX).map(([host, scope]) => ({ host, scope }))
}
