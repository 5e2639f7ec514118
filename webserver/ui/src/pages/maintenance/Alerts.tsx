/** What needs somebody now, or did, and whether those who are told hear it. */
import { Alert as Notice, Badge, Button, Group, Stack, Switch, Text } from '@mantine/core'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetchAlerts, testAlerts, type Alert, type Target } from '../../api/alerts'
import { formatAgo } from '../../format/times'
import { Ask } from '../../parts/Ask'
import { Section } from '../../parts/Section'
import { toastError } from '../../parts/toast'

/** Managers look about as often. */
const AGAIN_MILLISECONDS = 30_000

export function Alerts() {
  const { t } = useTranslation()
  const [withEnded, setWithEnded] = useState(false)
  const query = useQuery({ queryKey: ['alerts', withEnded], queryFn: () => fetchAlerts(withEnded), refetchInterval: AGAIN_MILLISECONDS })
  const test = useMutation({ mutationFn: testAlerts, onError: toastError })
  return (
    <Section title={t('alerts.title')} hint={t('alerts.hint')}>
      <Stack>
        <Ask query={query}>
          {(alerts) => alerts.length === 0 ? <Text size="sm">{t(withEnded ? 'alerts.never' : 'alerts.none')}</Text> : <Stack gap="sm">{alerts.map((alert) => <Row key={alert.id} {...alert} />)}</Stack>}
        </Ask>
        <Switch label={t('alerts.withEnded')} checked={withEnded} onChange={(event) => setWithEnded(event.currentTarget.checked)} />
        {test.data && <Heard targets={test.data} />}
        <Group><Button variant="default" loading={test.isPending} onClick={() => test.mutate()}>{t('alerts.test')}</Button></Group>
      </Stack>
    </Section>
  )
}

function Row({ kind, detail, began_at, ended_at }: Alert) {
  const { t, i18n } = useTranslation()
  const began = formatAgo(began_at, i18n.language)
  return (
    <Group justify="space-between" wrap="nowrap" align="flex-start">
      <div style={{ minWidth: 0 }}>
        <Text size="sm" style={{ overflowWrap: 'anywhere' }}>{detail}</Text>
        <Text size="xs" c="dimmed">{ended_at ? t('alerts.over', { began, ended: formatAgo(ended_at, i18n.language) }) : t('alerts.since', { began })}</Text>
      </div>
      <Badge variant="light" color={ended_at ? 'gray' : 'red'} tt="none" radius="sm" miw="max-content">{t(`alerts.kind.${kind}`)}</Badge>
    </Group>
  )
}

function Heard({ targets }: { targets: Target[] }) {
  const { t } = useTranslation()
  const deaf = targets.filter(({ problem }) => problem)
  if (targets.length === 0) return <Notice color="orange" role="alert" title={t('alerts.nobody')}>{t('alerts.nobodyHint')}</Notice>
  if (deaf.length === 0) return <Notice color="teal" role="status" title={t('alerts.heard')}>{targets.map(({ target }) => target).join(', ')}</Notice>
  return (
    <Notice color="red" role="alert" title={t('alerts.deaf')} style={{ overflowWrap: 'anywhere' }}>
      {deaf.map(({ target, problem }) => <Text key={target} size="sm">{target}: {problem}</Text>)}
    </Notice>
  )
}
