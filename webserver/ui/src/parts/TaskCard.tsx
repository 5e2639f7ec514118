/** A background task while it runs, and what has become of it. */
import { Alert, Button, Group, Progress, Stack, Text } from '@mantine/core'
import { IconCheck, IconLoader2, IconX } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { cancelTask } from '../api/tasks'
import { percentOf } from '../format/numbers'
import { useTask } from '../live/tasks'
import { useAct } from './useAct'

interface Props {
  id: string
  title: string
  onEnd: () => void
  onClose: () => void
}

const LOOKS = {
  running: { color: 'blue', icon: <IconLoader2 /> },
  done: { color: 'teal', icon: <IconCheck /> },
  failed: { color: 'red', icon: <IconX /> },
  cancelled: { color: 'gray', icon: <IconX /> },
}

export function TaskCard({ id, title, onEnd, onClose }: Props) {
  const { t } = useTranslation()
  const cancel = useAct({ act: () => cancelTask(id) })
  const { state, current, total, message } = useTask(id, onEnd, onClose)
  const isRunning = state === 'running'
  return (
    <Alert color={LOOKS[state].color} icon={LOOKS[state].icon} title={`${title}: ${t(`task.${state}`)}`} role="status">
      <Stack gap="xs">
        {message && <Text size="sm" style={{ overflowWrap: 'anywhere' }}>{message}</Text>}
        {isRunning && total > 0 && (
          <Group gap="sm" wrap="nowrap">
            <Progress flex={1} value={percentOf(current, total) ?? 0} aria-label={title} />
            <Text size="xs">{current} / {total}</Text>
          </Group>
        )}
        <Group>
          {isRunning ? (
            <Button size="xs" variant="default" loading={cancel.isPending} onClick={() => cancel.mutate()}>{t('action.cancel')}</Button>
          ) : (
            <Button size="xs" variant="default" onClick={onClose}>{t('action.close')}</Button>
          )}
        </Group>
      </Stack>
    </Alert>
  )
}
