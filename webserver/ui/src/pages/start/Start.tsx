/** What people come for, as cards; and what they already have running. */
import { Button, Card, Group, SimpleGrid, Stack, Text, ThemeIcon, Title } from '@mantine/core'
import { IconFolderPlus, IconPlayerPlay, IconRocket, IconTerminal2, IconUpload } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { shortName } from '../../api/images'
import { LIVE, listSessions } from '../../api/sessions'
import { formatSlots } from '../../format/slots'
import { useSessionsEvents } from '../../live/events'
import { Ask } from '../../parts/Ask'
import { Empty } from '../../parts/Empty'
import { Page } from '../../parts/Page'
import { Status } from '../../parts/Status'
import { useHere } from '../../shell/me'

const TASKS = [
  { to: '/launch', icon: IconRocket, title: 'start.interactive', hint: 'start.interactiveHint' },
  { to: '/launch?type=batch', icon: IconPlayerPlay, title: 'start.batch', hint: 'start.batchHint' },
  { to: '/folders?new=1', icon: IconFolderPlus, title: 'start.folder', hint: 'start.folderHint' },
  { to: '/folders', icon: IconUpload, title: 'start.upload', hint: 'start.uploadHint' },
] as const
const SHOWN = 5

export default function Start() {
  const { t } = useTranslation()
  const { me } = useHere()
  useSessionsEvents(me.accessKey)
  const sessions = useQuery({
    queryKey: ['sessions', 'start', me.accessKey],
    queryFn: ({ signal }) => listSessions({ limit: SHOWN, offset: 0, order: '-created_at' }, LIVE, { access_key: me.accessKey }, signal),
  })
  return (
    <Page title={t('start.hello', { name: me.fullName })} hint={t('start.hint')}>
      <SimpleGrid cols={{ base: 1, xs: 2, lg: 4 }}>
        {TASKS.map(({ to, icon: Picture, title, hint }) => (
          <Card key={to} component={Link} to={to} className="task-card" c="inherit">
            <ThemeIcon size={44} variant="light" radius="md" mb="md"><Picture size={24} stroke={1.6} /></ThemeIcon>
            <Text fw={600}>{t(title)}</Text>
            <Text size="sm" c="dimmed" mt={4}>{t(hint)}</Text>
          </Card>
        ))}
      </SimpleGrid>
      <Card>
        <Group justify="space-between" mb="sm">
          <Title order={2} size="h4">{t('start.running')}</Title>
          <Button component={Link} to="/sessions" variant="subtle" size="xs">{t('start.all')}</Button>
        </Group>
        <Ask query={sessions}>
          {({ items }) =>
            items.length ? (
              <Stack gap={0}>
                {items.map((session) => (
                  <Group key={session.id} component={Link} {...{ to: `/sessions?open=${session.id}` }} c="inherit" td="none" py="sm" justify="space-between" wrap="nowrap" style={{ borderTop: '1px solid var(--mantine-color-default-border)' }}>
                    <div style={{ minWidth: 0 }}>
                      <Text fw={500} truncate>{session.name}</Text>
                      <Text size="xs" c="dimmed" truncate>{shortName(session.image)} · {formatSlots(session.slots)}</Text>
                    </div>
                    <Status word={session.status} />
                  </Group>
                ))}
              </Stack>
            ) : (
              <Empty
                icon={IconTerminal2} title={t('start.none')} hint={t('start.noneHint')}
                action={<Button component={Link} to="/launch" mt="xs">{t('start.interactive')}</Button>}
              />
            )
          }
        </Ask>
      </Card>
    </Page>
  )
}
