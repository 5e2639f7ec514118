/** What a kernel has printed; goes on while it runs. */
import { Button, Group, Select, Stack, Switch, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { fetchLogs, type Session } from '../../api/sessions'
import { Ask } from '../../parts/Ask'
import { saveFile } from '../../parts/csv'

const FOLLOW_MILLISECONDS = 3_000
// Colours and cursor moves, which a page cannot show.
const CONTROLS = /\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b\][^\u0007]*\u0007|\r(?!\n)/g

export function Logs({ session }: { session: Session }) {
  const { t } = useTranslation()
  const [kernel, setKernel] = useState(session.kernels[0]?.id ?? '')
  const [isFollowing, setFollowing] = useState(true)
  const end = useRef<HTMLPreElement>(null)
  const isLive = !session.terminatedAt
  const query = useQuery({
    queryKey: ['session', session.id, 'logs', kernel],
    queryFn: () => fetchLogs(session, kernel || undefined),
    refetchInterval: isLive && isFollowing ? FOLLOW_MILLISECONDS : false,
  })
  useEffect(() => {
    if (isFollowing) end.current?.scrollTo({ top: end.current.scrollHeight })
  }, [query.data, isFollowing])
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        {session.kernels.length > 1 ? (
          <Select size="xs" value={kernel} onChange={(id) => id && setKernel(id)} aria-label={t('sessions.kernels')} data={session.kernels.map(({ id, cluster_hostname }) => ({ value: id, label: cluster_hostname }))} />
        ) : <span />}
        <Group gap="sm">
          {isLive && <Switch size="xs" label={t('sessions.follow')} checked={isFollowing} onChange={(event) => setFollowing(event.currentTarget.checked)} />}
          <Button size="xs" variant="default" onClick={() => saveFile(`${session.name}.log`, query.data ?? '', 'text/plain')}>{t('sessions.saveLogs')}</Button>
        </Group>
      </Group>
      <Ask query={query} height={300}>
        {(text) => text ? <pre ref={end} className="console" tabIndex={0} style={{ maxHeight: '60dvh' }}>{text.replace(CONTROLS, '')}</pre> : <Text size="sm" c="dimmed">{t('sessions.noLogs')}</Text>}
      </Ask>
    </Stack>
  )
}
