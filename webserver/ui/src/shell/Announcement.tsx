/** What the administrators have to say to everybody. */
import { Alert } from '@mantine/core'
import { useSessionStorage } from '@mantine/hooks'
import { IconSpeakerphone } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { fetchAnnouncement } from '../api/cluster'

export function Announcement() {
  const { t } = useTranslation()
  const [read, setRead] = useSessionStorage({ key: 'announcement', defaultValue: '' })
  const { data } = useQuery({ queryKey: ['announcement'], queryFn: fetchAnnouncement, staleTime: 5 * 60_000 })
  if (!data?.enabled || data.message === read) return null
  return (
    <Alert
      icon={<IconSpeakerphone />} title={t('top.announcement')} mb="lg" withCloseButton closeButtonLabel={t('action.close')}
      onClose={() => setRead(data.message)} style={{ whiteSpace: 'pre-line' }}
    >
      {data.message}
    </Alert>
  )
}
