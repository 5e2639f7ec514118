/** What can be done with one row, behind three dots. */
import { ActionIcon, Menu } from '@mantine/core'
import { IconDots } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

export interface Deed {
  label: string
  onClick: () => void
  isDanger?: boolean
  isDisabled?: boolean
}

export function RowMenu({ name, deeds }: { name: string; deeds: Deed[] }) {
  const { t } = useTranslation()
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={t('admin.actionsOf', { name })}><IconDots size={18} /></ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {deeds.map(({ label, onClick, isDanger, isDisabled }) => (
          <Menu.Item key={label} color={isDanger ? 'red' : undefined} disabled={isDisabled} onClick={onClick}>{label}</Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}
