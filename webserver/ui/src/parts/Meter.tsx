/** How much of a limit is used, with numbers, unit and percent: never by colour alone. */
import { Group, Progress, Stack, Text } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { percentOf } from '../format/numbers'
import { formatSlot } from '../format/slots'

interface Props {
  name: string
  slot: string
  used: number
  limit: number
  color?: string
}

export function Meter({ name, slot, used, limit, color = 'brand' }: Props) {
  const { t } = useTranslation()
  const percent = percentOf(used, limit)
  const full = percent !== null && percent >= 90
  return (
    <Stack gap={4}>
      <Group justify="space-between" gap="xs">
        <Text size="sm">{name}</Text>
        <Text size="sm" c="dimmed">
          {Number.isFinite(limit) ? `${formatSlot(slot, used)} / ${formatSlot(slot, limit)}` : `${formatSlot(slot, used)} · ${t('admin.noLimit')}`}
          {percent !== null && ` (${Math.round(percent)}%)`}
        </Text>
      </Group>
      <Progress value={percent ?? 0} color={full ? 'orange' : color} size="md" aria-label={name} />
    </Stack>
  )
}
