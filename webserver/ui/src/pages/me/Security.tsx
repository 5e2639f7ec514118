/** Password and second factor. */
import { Alert, Anchor, Box, Button, Group, Stack, Text } from '@mantine/core'
import { modals } from '@mantine/modals'
import { IconAlertTriangle, IconShieldCheck, IconShieldOff } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link } from 'react-router'
import { encode } from 'uqr'
import { activateSecondFactor, changePassword, enrolSecondFactor, fetchSecondFactor, removeSecondFactor } from '../../api/account'
import { Ask } from '../../parts/Ask'
import { Copy } from '../../parts/Copy'
import { FieldForm } from '../../parts/FieldForm'
import { Section } from '../../parts/Section'
import { toastError } from '../../parts/toast'
import { useAct } from '../../parts/useAct'

export function Security() {
  return <Stack><Password /><Totp /></Stack>
}

const BLANK = { old: '', renewed: '', repeated: '' }

function Password() {
  const { t } = useTranslation()
  const [areOthersIn, setOthersIn] = useState(false)
  const change = useAct<typeof BLANK>({
    act: async ({ old, renewed, repeated }) => setOthersIn(!(await changePassword(old, renewed, repeated))),
    done: t('me.passwordChanged'),
  })
  return (
    <Section title={t('me.password')}>
      <Box maw={420}>
        {areOthersIn && (
          <Alert color="orange" role="alert" mb="md" icon={<IconAlertTriangle />} title={t('me.loginsKept')}>
            <Text size="sm">{t('me.loginsKeptHint')} <Anchor component={Link} to="/me?tab=logins" size="sm" c="inherit" underline="always">{t('me.logins')}</Anchor></Text>
          </Alert>
        )}
        <FieldForm
          key={change.submittedAt}
          fields={[
            { name: 'old', label: t('me.oldPassword'), kind: 'password', isRequired: true, autoComplete: 'current-password' },
            { name: 'renewed', label: t('me.newPassword'), kind: 'password', isRequired: true },
            { name: 'repeated', label: t('me.repeat'), kind: 'password', isRequired: true },
          ]}
          initial={BLANK} submit={t('me.changePassword')}
          onSubmit={async (values) => {
            if (values.renewed !== values.repeated) throw new Error(t('login.differ'))
            await change.mutateAsync(values)
          }}
        />
      </Box>
    </Section>
  )
}

const KEY = ['totp']

function Totp() {
  const { t } = useTranslation()
  const query = useQuery({ queryKey: KEY, queryFn: fetchSecondFactor })
  const remove = () => {
    const id = modals.open({ title: t('me.totpRemoveTitle'), children: <Removal onDone={() => modals.close(id)} /> })
  }
  const add = () =>
    enrolSecondFactor().then(({ totp_key, totp_uri }) => {
      const id = modals.open({ title: t('me.totpAdd'), children: <Enrolment secret={totp_key} uri={totp_uri} onDone={() => modals.close(id)} /> })
    }, toastError)
  return (
    <Section title={t('me.totp')}>
      <Ask query={query} height={60}>
        {({ totp_activated: isOn }) => (
          <Alert color={isOn ? 'teal' : 'yellow'} icon={isOn ? <IconShieldCheck /> : <IconShieldOff />}>
            <Group justify="space-between">
              <Text size="sm">{t(isOn ? 'me.totpOn' : 'me.totpOff')}</Text>
              {isOn ? (
                <Button size="xs" color="red" variant="light" onClick={remove}>{t('me.totpRemove')}</Button>
              ) : <Button size="xs" onClick={() => void add()}>{t('me.totpAdd')}</Button>}
            </Group>
          </Alert>
        )}
      </Ask>
    </Section>
  )
}

function Enrolment({ secret, uri, onDone }: { secret: string; uri: string; onDone: () => void }) {
  const { t } = useTranslation()
  const activate = useAct<string>({ act: activateSecondFactor, done: t('me.totpAdded'), touches: [KEY], onDone })
  return (
    <Stack align="center">
      <Text size="sm">{t('me.totpScan')}</Text>
      <Picture text={uri} />
      <Copy value={secret} />
      <Box w="100%">
        <FieldForm fields={[{ name: 'otp', label: t('me.totpCode'), kind: 'text', isRequired: true }]} initial={{ otp: '' }} submit={t('me.totpConfirm')} onSubmit={({ otp }) => activate.mutateAsync(otp.trim())} />
      </Box>
    </Stack>
  )
}

function Removal({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation()
  const remove = useAct<string>({ act: removeSecondFactor, done: t('me.totpRemoved'), touches: [KEY], onDone })
  return (
    <Stack>
      <Text size="sm">{t('me.totpRemoveHint')}</Text>
      <FieldForm fields={[{ name: 'otp', label: t('me.totpCode'), kind: 'text', isRequired: true }]} initial={{ otp: '' }} submit={t('me.totpRemove')} onSubmit={({ otp }) => remove.mutateAsync(otp.trim())} />
    </Stack>
  )
}

/** A QR code; light on dark is read by few cameras, so it is always dark on white. */
function Picture({ text }: { text: string }) {
  const { t } = useTranslation()
  const { data, size } = encode(text, { border: 2 })
  const path = data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : []))).join('')
  return (
    <svg viewBox={`0 0 ${size} ${size}`} width={200} height={200} role="img" aria-label={t('me.totpScan')} shapeRendering="crispEdges">
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  )
}
