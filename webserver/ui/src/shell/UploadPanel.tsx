/** How uploads are going, in the corner of every page. */
import { ActionIcon, Affix, Button, Card, Group, Progress, ScrollArea, Stack, Text, Tooltip } from '@mantine/core'
import { IconPlayerPause, IconPlayerPlay, IconX } from '@tabler/icons-react'
import { useSyncExternalStore, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { formatBytes } from '../format/numbers'
import { uploads, type UploadItem, type UploadState } from '../live/uploads'

const COLORS: Record<UploadState, string> = { waiting: 'gray', running: 'brand', retrying: 'orange', paused: 'gray', done: 'teal', failed: 'red' }

export function UploadPanel() {
  const { t } = useTranslation()
  const items = useSyncExternalStore(uploads.subscribe, uploads.list)
  if (!items.length) return null
  return (
    <Affix position={{ bottom: 16, right: 16 }} w={360} maw="calc(100vw - 32px)">
      <Card shadow="md" padding="sm" component="section" aria-label={t('uploads.title')}>
        <Group justify="space-between" mb="xs">
          <Text fw={600} size="sm">{t('uploads.title')}</Text>
          <Button size="compact-xs" variant="subtle" onClick={() => uploads.clearDone()}>{t('uploads.clear')}</Button>
        </Group>
        <ScrollArea.Autosize mah={260} viewportProps={{ tabIndex: 0 }}>
          <Stack gap="sm">{items.map((item) => <Line key={item.id} item={item} />)}</Stack>
        </ScrollArea.Autosize>
      </Card>
    </Affix>
  )
}

function Line({ item }: { item: UploadItem }) {
  const { t } = useTranslation()
  const { id, path, sent, size, rate, state, problem } = item
  const told = state === 'running' ? t('uploads.rate', { done: formatBytes(sent), total: formatBytes(size), rate: formatBytes(rate) }) : problem || t(`uploads.${state}`)
  const isHeld = state === 'paused' || state === 'failed'
  return (
    <div data-upload={state}>
      <Group justify="space-between" gap="xs" wrap="nowrap">
        <Text size="sm" truncate title={path}>{path.split('/').at(-1)}</Text>
        <Group gap={2} wrap="nowrap">
          {isHeld && <Tool label={t('uploads.resume')} onClick={() => uploads.resume(id)}><IconPlayerPlay size={14} /></Tool>}
          {(state === 'running' || state === 'retrying') && <Tool label={t('uploads.pause')} onClick={() => uploads.pause(id)}><IconPlayerPause size={14} /></Tool>}
          {state !== 'done' && <Tool label={t('uploads.cancel')} onClick={() => uploads.cancel(id)}><IconX size={14} /></Tool>}
        </Group>
      </Group>
      <Progress value={size ? (sent / size) * 100 : state === 'done' ? 100 : 0} color={COLORS[state]} size="sm" aria-label={path} />
      <Text size="xs" c="dimmed" lineClamp={2} role={state === 'failed' ? 'alert' : undefined}>{told}</Text>
    </div>
  )
}

function Tool({ label, onClick, children }: { label: string; onClick: () => void; children: ReactNode }) {
  return <Tooltip label={label}><ActionIcon size="sm" variant="subtle" color="gray" aria-label={label} onClick={onClick}>{children}</ActionIcon></Tooltip>
}
