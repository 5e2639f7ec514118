/** A value with a button that copies it. */
import { ActionIcon, CopyButton, Group, Text, Tooltip } from '@mantine/core'
import { IconCheck, IconCopy } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

export function Copy({ value, label }: { value: string; label?: string }) {
  const { t } = useTranslation()
  return (
    <Group gap={4} wrap="nowrap" maw="100%">
      <Text size="sm" className="mono" truncate title={value}>{label ?? value}</Text>
      <CopyButton value={value}>
        {({ copied, copy }) => (
          <Tooltip label={t(copied ? 'action.copied' : 'action.copy')}>
            <ActionIcon size="sm" variant="subtle" color={copied ? 'teal' : 'gray'} onClick={copy} aria-label={t('action.copy')}>
              {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </Group>
  )
}
