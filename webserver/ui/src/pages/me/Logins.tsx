/** Where one is logged in. */
import { Badge, Button, Group, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { endLogin, endOtherLogins, listLogins } from '../../api/account'
import { formatTime } from '../../format/times'
import { Ask } from '../../parts/Ask'
import { Section } from '../../parts/Section'
import { useAct } from '../../parts/useAct'

const KEY = ['logins']

export function Logins() {
  const { t, i18n } = useTranslation()
  const query = useQuery({ queryKey: KEY, queryFn: listLogins })
  const end = useAct<string>({ act: endLogin, done: t('me.ended'), touches: [KEY] })
  const endOthers = useAct({ act: endOtherLogins, done: t('me.ended'), touches: [KEY] })
  return (
    <Section title={t('me.logins')} action={<Button size="xs" variant="light" color="red" onClick={() => endOthers.mutate()}>{t('me.endOthers')}</Button>}>
      <Ask query={query}>
        {(logins) => (
          <Stack>
            {logins.map(({ id, is_current, created_at, address, agent }) => (
              <Group key={id} justify="space-between" wrap="nowrap">
                <div style={{ minWidth: 0 }}>
                  <Group gap="xs"><Text size="sm" fw={600}>{address}</Text>{is_current && <Badge size="sm" variant="light" color="teal" tt="none">{t('me.thisOne')}</Badge>}</Group>
                  <Text size="xs" c="dimmed" truncate title={agent}>{agent}</Text>
                  <Text size="xs" c="dimmed">{t('me.since', { at: formatTime(created_at, i18n.language) })}</Text>
                </div>
                {!is_current && <Button size="xs" variant="default" onClick={() => end.mutate(id)}>{t('me.endLogin')}</Button>}
              </Group>
            ))}
          </Stack>
        )}
      </Ask>
    </Section>
  )
}
