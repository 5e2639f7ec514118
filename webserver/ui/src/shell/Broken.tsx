/** Where a page fails or does not exist: the rest of the window goes on. */
import { Button } from '@mantine/core'
import { IconMapSearch } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { Link, useRouteError } from 'react-router'
import { Empty } from '../parts/Empty'
import { Failure } from '../parts/Failure'

export function Broken() {
  const error = useRouteError()
  return <Failure error={error} onRetry={() => window.location.reload()} />
}

export function Unknown() {
  const { t } = useTranslation()
  return (
    <Empty
      icon={IconMapSearch} title={t('error.unknown')} hint={t('error.unknownHint')}
      action={<Button component={Link} to="/start" variant="light">{t('start.title')}</Button>}
    />
  )
}
