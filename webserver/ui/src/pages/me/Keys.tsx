/** The keypair that programs use, and the key for SSH. */
import { Alert, Button, Stack, Text } from '@mantine/core'
import { modals } from '@mantine/modals'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { fetchOwnKeypair, fetchSshKey, makeSshKey } from '../../api/account'
import { formatAgo } from '../../format/times'
import { Ask } from '../../parts/Ask'
import { Copy } from '../../parts/Copy'
import { saveFile } from '../../parts/csv'
import { Facts } from '../../parts/Facts'
import { Section } from '../../parts/Section'
import { useAct } from '../../parts/useAct'

const SSH = ['ssh-key']

export function Keys() {
  const { t, i18n } = useTranslation()
  const keypair = useQuery({ queryKey: ['own-keypair'], queryFn: fetchOwnKeypair })
  const ssh = useQuery({ queryKey: SSH, queryFn: fetchSshKey })
  const make = useAct({
    act: async () => {
      const { ssh_private_key: key } = await makeSshKey()
      modals.open({ title: t('me.sshTitle'), size: 'lg', children: <PrivateKey value={key} /> })
    },
    touches: [SSH],
  })
  return (
    <Stack>
      <Section title={t('keypairs.title')}>
        <Ask query={keypair}>
          {({ access_key, last_used, rate_limit }) => (
            <Facts facts={[[t('me.accessKey'), <Copy key="key" value={access_key} />], [t('me.lastUsed'), formatAgo(last_used, i18n.language)], [t('me.rateLimit'), rate_limit]]} />
          )}
        </Ask>
      </Section>
      <Section title={t('me.ssh')} hint={t('me.sshHint')} action={<Button size="xs" loading={make.isPending} onClick={() => make.mutate()}>{t('me.sshMake')}</Button>}>
        <Ask query={ssh} height={60}>{(key) => (key ? <Copy value={key} /> : <Text size="sm" c="dimmed">{t('me.sshNone')}</Text>)}</Ask>
      </Section>
    </Stack>
  )
}

function PrivateKey({ value }: { value: string }) {
  const { t } = useTranslation()
  return (
    <Stack>
      <Alert color="yellow">{t('me.sshOnce')}</Alert>
      <pre className="console" tabIndex={0} style={{ maxHeight: 260 }}>{value}</pre>
      <Button onClick={() => saveFile('id_backendai', value, 'application/x-pem-file')}>{t('me.sshSave')}</Button>
    </Stack>
  )
}
