/** Whether any node has an image. */
import { Badge } from '@mantine/core'
import { useTranslation } from 'react-i18next'

export function Installed({ is }: { is: boolean }) {
  const { t } = useTranslation()
  return <Badge variant="light" tt="none" radius="sm" miw="max-content" color={is ? 'teal' : 'gray'}>{t(is ? 'images.installed' : 'images.missing')}</Badge>
}
