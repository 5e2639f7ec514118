/** The facts of a session, how busy it is, and when it ends by itself. */
import { Badge, Button, Card, Group, ScrollArea, Stack, Table, Text, Title } from '@mantine/core'
import { IconClockHour4 } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import type { IdleCheck, Session } from '../../api/sessions'
import { formatSlots } from '../../format/slots'
import { formatSpan, formatTime } from '../../format/times'
import { Copy } from '../../parts/Copy'
import { Facts, type Fact } from '../../parts/Facts'
import { Status } from '../../parts/Status'
import { useCountdown } from '../../parts/useCountdown'
import { Charts } from './Charts'
import { useSessionActions } from './useSessionActions'

export function Overview({ session }: { session: Session }) {
  const { t, i18n } = useTranslation()
  const facts: Fact[] = [
    [t('sessions.image'), <Copy key="image" value={session.image} />],
    [t('sessions.slots'), formatSlots(session.slots)],
    [t('sessions.type'), session.type],
    [t('sessions.command'), session.startupCommand && <Copy key="command" value={session.startupCommand} />],
    [t('sessions.result'), session.result.toLowerCase() === 'undefined' ? null : session.result],
    [t('sessions.mounts'), session.mounts.join(', ')],
    [t('sessions.resourceGroup'), session.scalingGroup],
    [t('sessions.project'), session.projectName],
    [t('sessions.owner'), session.email],
    [t('sessions.priority'), session.priority],
    [t('sessions.createdAt'), formatTime(session.createdAt, i18n.language)],
    [t('sessions.endedAt'), session.terminatedAt && formatTime(session.terminatedAt, i18n.language)],
    [t('sessions.id'), <Copy key="id" value={session.id} />],
  ]
  return (
    <Stack gap="lg">
      {!session.terminatedAt && <Charts session={session} />}
      {session.status === 'RUNNING' && <Idle session={session} />}
      <Facts facts={facts} />
      <Kernels session={session} />
    </Stack>
  )
}

function Idle({ session }: { session: Session }) {
  const { t } = useTranslation()
  const { extend, isExtending } = useSessionActions()
  const checks = Object.entries(session.idleChecks).filter(([, check]) => check.remaining !== null)
  if (!checks.length) return null
  return (
    <Card padding="sm">
      <Group justify="space-between">
        <div>
          <Text size="sm" fw={600}>{t('sessions.idleTitle')}</Text>
          <Group gap="xs" mt={4}>{checks.map(([name, check]) => <Countdown key={`${name}.${check.remaining}`} name={name} check={check} />)}</Group>
        </div>
        <Button size="xs" variant="light" loading={isExtending} onClick={() => extend(session)}>{t('sessions.extend')}</Button>
      </Group>
    </Card>
  )
}

const SOON_SECONDS = 30 * 60

function Countdown({ name, check }: { name: string; check: IdleCheck }) {
  const { t, i18n } = useTranslation()
  const left = useCountdown(check.remaining ?? 0)
  const key = `sessions.checker.${name}` as 'sessions.checker.network_timeout'
  const checker = i18n.exists(key) ? t(key) : name
  return (
    <Badge variant="light" tt="none" color={left < SOON_SECONDS ? 'orange' : 'gray'} leftSection={<IconClockHour4 size={12} />}>
      {t('sessions.idleIn', { checker, time: formatSpan(left) })}
    </Badge>
  )
}

function Kernels({ session }: { session: Session }) {
  const { t } = useTranslation()
  return (
    <div>
      <Title order={3} size="h5" mb="xs">{t('sessions.kernels')}</Title>
      <ScrollArea viewportProps={{ tabIndex: 0 }}>
        <Table>
          <Table.Thead>
            <Table.Tr>{(['name', 'status', 'agent', 'slots'] as const).map((key) => <Table.Th key={key}>{t(`sessions.${key}`)}</Table.Th>)}</Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {session.kernels.map((kernel) => (
              <Table.Tr key={kernel.id}>
                <Table.Td>{kernel.cluster_hostname}</Table.Td>
                <Table.Td><Status word={kernel.status} /></Table.Td>
                <Table.Td>{kernel.agent ?? '–'}</Table.Td>
                <Table.Td style={{ whiteSpace: 'nowrap' }}>{formatSlots(kernel.occupied) || '–'}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </ScrollArea>
    </div>
  )
}
