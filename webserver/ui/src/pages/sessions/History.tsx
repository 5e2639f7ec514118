/** Every move of a session and its kernels, with what caused it. */
import { Text, Timeline } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { fetchHistory, type Session } from '../../api/sessions'
import { formatSpan, formatTime } from '../../format/times'
import { Ask } from '../../parts/Ask'
import { Status } from '../../parts/Status'
import { saidOf } from './told'

export function History({ session }: { session: Session }) {
  const { i18n } = useTranslation()
  const query = useQuery({ queryKey: ['session', session.id, 'history', session.status], queryFn: () => fetchHistory(session) })
  return (
    <Ask query={query} height={240}>
      {(lines) => {
        const moves = lines.filter(({ kernel_id }) => kernel_id === null)
        return (
          <Timeline active={moves.length - 1} bulletSize={14} lineWidth={2}>
            {moves.map(({ to, event, reason, detail, at }, index) => {
              const next = moves[index + 1]
              const stayed = next && (new Date(next.at).getTime() - new Date(at).getTime()) / 1000
              return (
                <Timeline.Item key={`${to}${at}`} title={<Status word={to} />}>
                  <Text size="sm" mt={4} style={{ overflowWrap: 'anywhere' }}>{[reason || event, ...saidOf(detail)].join(' · ')}</Text>
                  <Text size="xs" c="dimmed">{formatTime(at, i18n.language)}{stayed !== undefined && ` · ${formatSpan(stayed)}`}</Text>
                </Timeline.Item>
              )
            })}
          </Timeline>
        )
      }}
    </Ask>
  )
}
