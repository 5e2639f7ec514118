/** What was launched lately, to be launched again. */
import { Button, Menu, Text } from '@mantine/core'
import { IconHistory } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { shortName } from '../../api/images'
import { formatSlots } from '../../format/slots'
import { freshName, listRecent, type Form } from './form'

export function Recent({ onPick }: { onPick: (form: Form) => void }) {
  const { t } = useTranslation()
  const kept = listRecent()
  if (!kept.length) return null
  return (
    <Menu position="bottom-end">
      <Menu.Target><Button variant="default" leftSection={<IconHistory size={16} />}>{t('launch.recent')}</Button></Menu.Target>
      <Menu.Dropdown>
        {kept.map((form) => (
          <Menu.Item key={form.name} onClick={() => onPick({ ...form, name: freshName(form.type) })}>
            <Text size="sm">{form.name}</Text>
            <Text size="xs" c="dimmed">{shortName(form.image)} · {formatSlots(form.slots)}</Text>
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}
