/** What waits for an answer: invitations to folders. */
import { ActionIcon, Indicator, Tooltip } from '@mantine/core'
import { IconBell } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { useNavigate } from 'react-router'
import { listInvitations } from '../api/folders'

export function Bell() {
  const { t } = useTranslation()
  const navigate = useNavigate()
  const { data = [] } = useQuery({ queryKey: ['invitations'], queryFn: listInvitations, staleTime: 60_000 })
  const label = t('top.invitations', { count: data.length })
  return (
    <Tooltip label={label}>
      <Indicator label={data.length} size={16} disabled={!data.length} offset={5}>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label={label} onClick={() => void navigate('/folders?tab=invitations')}>
          <IconBell size={19} />
        </ActionIcon>
      </Indicator>
    </Tooltip>
  )
}
