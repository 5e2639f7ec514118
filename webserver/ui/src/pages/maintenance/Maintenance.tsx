/** Keeping the cluster: freezing it, how its loops are, what needs somebody, and what everybody is told. */
import { Alert, Button, Checkbox, Group, SimpleGrid, Stack, Text } from '@mantine/core'
import { IconSnowflake } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { fetchAnnouncement } from '../../api/cluster'
import { fetchLoops, fetchManagerStatus, recalculateUsage, setAnnouncement, setManagerStatus, type ManagerStatus } from '../../api/maintenance'
import { formatAgo } from '../../format/times'
import { Ask } from '../../parts/Ask'
import { confirm } from '../../parts/confirm'
import { FieldForm } from '../../parts/FieldForm'
import { Page } from '../../parts/Page'
import { Section } from '../../parts/Section'
import { Status } from '../../parts/Status'
import { useAct } from '../../parts/useAct'
import { Alerts } from './Alerts'

const STATUS = ['manager-status']
const ANNOUNCEMENT = ['announcement']

export default function Maintenance() {
  const { t } = useTranslation()
  const recalculate = useAct({ act: recalculateUsage, done: t('maintenance.recalculated') })
  return (
    <Page title={t('maintenance.title')} hint={t('maintenance.hint')}>
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <Freezing />
        <Loops />
        <Alerts />
        <Announcing />
        <Section title={t('maintenance.repair')} hint={t('maintenance.recalculateHint')}>
          <Group><Button variant="default" loading={recalculate.isPending} onClick={() => recalculate.mutate()}>{t('maintenance.recalculate')}</Button></Group>
        </Section>
      </SimpleGrid>
    </Page>
  )
}

function Freezing() {
  const { t, i18n } = useTranslation()
  const query = useQuery({ queryKey: STATUS, queryFn: fetchManagerStatus })
  const set = useAct<{ status: ManagerStatus['status']; force: boolean }>({ act: ({ status, force }) => setManagerStatus(status, force), done: t('admin.saved'), touches: [STATUS] })
  const askFreeze = () => {
    let force = false
    confirm({
      title: t('maintenance.freezeTitle'),
      message: <Stack gap="sm"><Text size="sm">{t('maintenance.freezeHint')}</Text><Checkbox label={t('maintenance.force')} onChange={(event) => (force = event.currentTarget.checked)} /></Stack>,
      confirm: t('maintenance.freeze'),
      onConfirm: () => set.mutateAsync({ status: 'frozen', force }).catch(() => undefined),
    })
  }
  return (
    <Section title={t('maintenance.service')}>
      <Ask query={query}>
        {({ status, active_sessions, nodes }) => (
          <Stack>
            {status === 'frozen' && <Alert color="blue" icon={<IconSnowflake />} title={t('maintenance.frozen')}>{t('maintenance.frozenHint')}</Alert>}
            <Text size="sm">{t('maintenance.active', { count: active_sessions })}</Text>
            {nodes.map(({ id, version, heartbeat }) => <Text key={id} size="sm" c="dimmed">{id} · {version} · {formatAgo(heartbeat, i18n.language)}</Text>)}
            <Group>
              {status === 'frozen' ? (
                <Button loading={set.isPending} onClick={() => set.mutate({ status: 'running', force: false })}>{t('maintenance.thaw')}</Button>
              ) : (
                <Button color="red" variant="light" loading={set.isPending} onClick={askFreeze}>{t('maintenance.freeze')}</Button>
              )}
            </Group>
          </Stack>
        )}
      </Ask>
    </Section>
  )
}

function Loops() {
  const { t } = useTranslation()
  const query = useQuery({ queryKey: ['loops'], queryFn: fetchLoops })
  return (
    <Section title={t('maintenance.loops')} hint={t('maintenance.loopsHint')}>
      <Ask query={query}>
        {(loops) => (
          <Stack gap="xs">
            {loops.map(({ loop, healthy, fault, period_seconds }) => (
              <Group key={loop} justify="space-between" wrap="nowrap" align="flex-start">
                <div style={{ minWidth: 0 }}><Text size="sm" className="mono" style={{ overflowWrap: 'anywhere' }}>{loop}</Text>{fault && <Text size="xs" c="dimmed">{fault}</Text>}</div>
                <Group gap="xs" wrap="nowrap" miw="max-content"><Text size="xs" c="dimmed">{t('maintenance.every', { seconds: period_seconds })}</Text><Status word={healthy ? 'ready' : 'error'} /></Group>
              </Group>
            ))}
          </Stack>
        )}
      </Ask>
    </Section>
  )
}

function Announcing() {
  const { t } = useTranslation()
  const query = useQuery({ queryKey: ANNOUNCEMENT, queryFn: fetchAnnouncement })
  const save = useAct<{ enabled: boolean; message: string }>({ act: ({ enabled, message }) => setAnnouncement(enabled, message), done: t('admin.saved'), touches: [ANNOUNCEMENT] })
  return (
    <Section title={t('maintenance.announcement')} hint={t('maintenance.announcementHint')}>
      <Ask query={query}>
        {({ enabled, message }) => (
          <FieldForm
            fields={[{ name: 'message', label: t('maintenance.message'), kind: 'lines' }, { name: 'enabled', label: t('maintenance.shown'), kind: 'switch' }]}
            initial={{ enabled, message: message ?? '' }} submit={t('action.save')} onSubmit={(values) => save.mutateAsync(values)}
          />
        )}
      </Ask>
    </Section>
  )
}
