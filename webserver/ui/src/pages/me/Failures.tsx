/** What was refused in this browser lately, with the numbers that administrators can look up. */
import { Button, Stack, Text } from '@mantine/core'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { formatTime } from '../../format/times'
import { Copy } from '../../parts/Copy'
import { clearFailures, listFailures } from '../../parts/failures'
import { Section } from '../../parts/Section'

export function Failures() {
  const { t, i18n } = useTranslation()
  const [failures, setFailures] = useState(listFailures)
  const clear = () => {
    clearFailures()
    setFailures([])
  }
  return (
    <Section title={t('me.failures')} action={<Button size="xs" variant="default" onClick={clear} disabled={!failures.length}>{t('me.clear')}</Button>}>
      {failures.length ? (
        <Stack>
          {failures.map(({ at, title, detail, requestId, status }) => (
            <div key={at + requestId}>
              <Text size="sm" fw={600}>{title} {status > 0 && `(${status})`}</Text>
              {detail && <Text size="sm">{detail}</Text>}
              <Text size="xs" c="dimmed">{formatTime(at, i18n.language)}</Text>
              {requestId && <Copy value={requestId} />}
            </div>
          ))}
        </Stack>
      ) : <Text size="sm" c="dimmed">{t('me.noFailures')}</Text>}
    </Section>
  )
}
