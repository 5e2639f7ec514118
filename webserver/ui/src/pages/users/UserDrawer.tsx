/** All about one account: its facts and its keypairs. */
import { Button, Drawer, Group, Stack, Text, Title } from '@mantine/core'
import { IconUser } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { listKeypairs, listUsers, type User } from '../../api/users'
import { isOneOf } from '../../api/graph'
import { formatTime } from '../../format/times'
import { Ask } from '../../parts/Ask'
import { Copy } from '../../parts/Copy'
import { Empty } from '../../parts/Empty'
import { Facts } from '../../parts/Facts'
import { RowMenu } from '../../parts/RowMenu'
import { Status } from '../../parts/Status'
import { useKeypairActions } from '../keypairs/useKeypairActions'
import { useUserActions } from './useUserActions'

export function UserDrawer({ email, onClose }: { email: string | null; onClose: () => void }) {
  const { t } = useTranslation()
  const query = useQuery({
    queryKey: ['users', 'one', email],
    queryFn: async () => (await listUsers({ limit: 1, offset: 0, filter: isOneOf('email', [email!]) })).items[0] ?? null,
    enabled: email !== null,
  })
  return (
    <Drawer opened={email !== null} onClose={onClose} position="right" size={560} closeButtonProps={{ 'aria-label': t('action.close') }} title={<Title order={2} size="h4" style={{ overflowWrap: 'anywhere' }}>{email}</Title>}>
      <Ask query={query} height={300}>{(user) => (user ? <Body user={user} /> : <Empty icon={IconUser} title={t('users.gone')} />)}</Ask>
    </Drawer>
  )
}

function Body({ user }: { user: User }) {
  const { t, i18n } = useTranslation()
  const { deedsOf } = useUserActions()
  return (
    <Stack>
      <Group gap="xs">
        {deedsOf(user).map(({ label, onClick, isDanger, isDisabled }) => (
          <Button key={label} size="xs" variant={isDanger ? 'light' : 'default'} color={isDanger ? 'red' : undefined} disabled={isDisabled} onClick={onClick}>{label}</Button>
        ))}
      </Group>
      <Facts
        facts={[
          [t('users.status'), <Status key="status" word={user.status} />], [t('users.username'), user.username], [t('users.fullName'), user.full_name],
          [t('users.role'), user.role], [t('users.domain'), user.domain_name], [t('projects.title'), user.groups.map(({ name }) => name).join(', ')],
          [t('users.policy'), user.resource_policy], [t('users.totp'), t(user.totp_activated ? 'admin.yes' : 'admin.no')],
          [t('users.needsChange'), user.need_password_change ? t('admin.yes') : null], [t('users.allowedIps'), user.allowed_client_ip?.join(', ')],
          [t('admin.description'), user.description], [t('admin.createdAt'), formatTime(user.created_at, i18n.language)],
          [t('users.id'), <Copy key="id" value={user.uuid} />],
        ]}
      />
      <Keypairs user={user} />
    </Stack>
  )
}

function Keypairs({ user: { email, main_access_key } }: { user: User }) {
  const { t } = useTranslation()
  const { askNew, deedsOf } = useKeypairActions()
  const query = useQuery({ queryKey: ['keypairs', 'of', email], queryFn: () => listKeypairs({ limit: 20, offset: 0 }, { email }) })
  return (
    <section>
      <Group justify="space-between" mb="xs">
        <Title order={3} size="h5">{t('keypairs.title')}</Title>
        <Button size="xs" variant="default" onClick={() => askNew(email)}>{t('keypairs.create')}</Button>
      </Group>
      <Ask query={query}>
        {({ items }) => (
          <Stack gap={4}>
            {items.map((keypair) => (
              <Group key={keypair.access_key} justify="space-between" wrap="nowrap">
                <div style={{ minWidth: 0 }}>
                  <Copy value={keypair.access_key} />
                  <Text size="xs" c="dimmed">{[keypair.resource_policy, keypair.access_key === main_access_key && t('keypairs.main')].filter(Boolean).join(' · ')}</Text>
                </div>
                <Group gap="xs" wrap="nowrap"><Status word={keypair.is_active ? 'active' : 'inactive'} /><RowMenu name={keypair.access_key} deeds={deedsOf(keypair)} /></Group>
              </Group>
            ))}
          </Stack>
        )}
      </Ask>
    </section>
  )
}
