/** Who else may use a folder, and what they may. */
import { ActionIcon, Button, Divider, Group, Select, Stack, TagsInput, Text, Tooltip } from '@mantine/core'
import { IconUserMinus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { invite, listShares, setShare, type Folder, type Permission } from '../../api/folders'
import { Ask } from '../../parts/Ask'
import { useAct } from '../../parts/useAct'

const PERMISSIONS: Permission[] = ['ro', 'rw', 'wd']

export function Sharing({ folder }: { folder: Folder }) {
  const { t } = useTranslation()
  const [emails, setEmails] = useState<string[]>([])
  const [permission, setPermission] = useState<Permission>('ro')
  const key = ['folder', folder.id, 'shares']
  const shares = useQuery({ queryKey: key, queryFn: () => listShares(folder.id) })
  const send = useAct({ act: () => invite(folder.id, emails, permission), done: t('folders.invited'), touches: [key], onDone: () => setEmails([]) })
  const put = useAct<{ user: string; permission: Permission | null }>({ act: ({ user, permission: next }) => setShare(folder.id, user, next), touches: [key] })
  const options = PERMISSIONS.map((word) => ({ value: word, label: t(`folders.${word}`) }))
  return (
    <Stack>
      <Group align="flex-end" wrap="wrap">
        <TagsInput flex={1} miw={220} label={t('folders.emails')} placeholder="ann@example.org" value={emails} onChange={setEmails} splitChars={[',', ' ', ';']} />
        <Select w={190} label={t('folders.permission')} allowDeselect={false} data={options} value={permission} onChange={(word) => word && setPermission(word as Permission)} />
        <Button disabled={!emails.length} loading={send.isPending} onClick={() => send.mutate()}>{t('folders.invite')}</Button>
      </Group>
      <Divider label={t('folders.sharedWith')} />
      <Ask query={shares} height={80}>
        {(found) => found.length ? (
          <Stack gap="xs">
            {found.map(({ shared_to: { uuid, email }, perm }) => (
              <Group key={uuid} justify="space-between" wrap="nowrap">
                <Text size="sm" truncate>{email}</Text>
                <Group gap="xs" wrap="nowrap">
                  <Select size="xs" w={170} aria-label={t('folders.permission')} allowDeselect={false} data={options} value={perm} onChange={(word) => put.mutate({ user: uuid, permission: word as Permission })} />
                  <Tooltip label={t('folders.unshare')}>
                    <ActionIcon variant="subtle" color="red" aria-label={t('folders.unshare')} onClick={() => put.mutate({ user: uuid, permission: null })}><IconUserMinus size={16} /></ActionIcon>
                  </Tooltip>
                </Group>
              </Group>
            ))}
          </Stack>
        ) : <Text size="sm" c="dimmed">{t('folders.notShared')}</Text>}
      </Ask>
    </Stack>
  )
}
