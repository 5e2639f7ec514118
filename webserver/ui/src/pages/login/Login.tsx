/** The way in: password, then what else is asked for. Refusals stand at the form. */
import { Alert, Button, Card, Center, Divider, Group, PasswordInput, PinInput, Stack, Text, TextInput, Title } from '@mantine/core'
import { IconLogin2 } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { ParseKeys } from 'i18next'
import { useEffect, useState, type FormEvent } from 'react'
import { useTranslation } from 'react-i18next'
import { useSearchParams } from 'react-router'
import { ApiError } from '../../api/http'
import { login, renewPassword, type LoginOutcome } from '../../api/login'
import { fetchProvider, refusalOf, wayTo, withoutRefusal, type Refusal } from '../../api/provider'
import { Refused } from '../../parts/FieldForm'
import { ME } from '../../queries'
import { LanguageMenu, SchemeButton } from '../../shell/Looks'

type Step = 'password' | 'otp' | 'expired'

export default function Login() {
  const { t } = useTranslation()
  const client = useQueryClient()
  const [step, setStep] = useState<Step>('password')
  const [form, setForm] = useState({ username: '', password: '', otp: '', renewed: '', repeated: '' })
  const [hasDevice, setHasDevice] = useState(false)
  const [refused, setRefused] = useState('')
  const put = (name: keyof typeof form) => (value: string) => setForm((now) => ({ ...now, [name]: value }))
  const differ = step === 'expired' && form.repeated !== '' && form.renewed !== form.repeated

  const enter = useMutation({
    mutationFn: async (): Promise<LoginOutcome> => {
      if (step !== 'expired') return login(form.username, form.password, form.otp)
      const renewed = await renewPassword(form.username, form.password, form.renewed, form.otp)
      if (renewed.kind !== 'in') return renewed
      if (!hasDevice) return login(form.username, form.renewed, '')
      // Each code is good once: the next one logs in.
      setForm((now) => ({ ...now, password: now.renewed, otp: '' }))
      return { kind: 'otp' }
    },
    onMutate: () => setRefused(''),
    onSuccess: async (outcome) => {
      if (outcome.kind === 'in') return client.invalidateQueries({ queryKey: ME })
      if (outcome.kind === 'wrong') return setRefused(t(step === 'otp' ? 'login.wrongOtp' : 'login.wrong'))
      if (outcome.kind === 'refused') return setRefused(outcome.reason)
      if (outcome.kind === 'otp') setHasDevice(true)
      setStep(outcome.kind)
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (!differ) enter.mutate()
  }
  const [params, setParams] = useSearchParams()
  const [turnedBack] = useState(() => refusalOf(params))
  useEffect(() => {
    if (refusalOf(params)) setParams(withoutRefusal(params), { replace: true })
  }, [params, setParams])
  // Without it there is still the password.
  const provider = useQuery({ queryKey: ['provider'], queryFn: fetchProvider, staleTime: Infinity })
  const words = WORDS[step]
  const isLocked = enter.error instanceof ApiError && enter.error.status === 429

  return (
    <Center mih="100dvh" p="md" component="main">
      <Stack w={380} maw="100%" gap="lg">
        <Stack align="center" gap={6}>
          <img src="/favicon.svg" alt="" width={52} height={52} />
          <Title order={1} size="h2">Backend.AI</Title>
          <Text c="dimmed" size="sm" ta="center">{t('login.welcome')}</Text>
        </Stack>
        <Card padding="xl" radius="lg" shadow="sm">
          <form onSubmit={submit}>
            <Stack gap="md">
              <Title order={2} size="h4">{t(words.title)}</Title>
              {turnedBack && enter.isIdle && <TurnedBack refusal={turnedBack} />}
              {words.hint && <Text size="sm" c="dimmed">{t(words.hint)}</Text>}
              {step === 'password' && (
                <>
                  <TextInput
                    label={t('login.username')} required autoFocus autoComplete="username" value={form.username}
                    onChange={(event) => put('username')(event.currentTarget.value)} error={Boolean(refused)}
                  />
                  <PasswordInput
                    label={t('login.password')} required autoComplete="current-password" value={form.password} error={refused || null}
                    onChange={(event) => put('password')(event.currentTarget.value)}
                  />
                </>
              )}
              {step === 'otp' && (
                <Stack gap={6} align="center">
                  <PinInput
                    length={6} type="number" oneTimeCode autoFocus aria-label={t('login.otp')} getInputProps={(index) => ({ 'aria-label': `${t('login.otp')} ${index + 1}` })}
                    value={form.otp} onChange={put('otp')} onComplete={() => enter.mutate()} error={Boolean(refused)}
                  />
                  {refused && <Text size="sm" c="red" role="alert">{refused}</Text>}
                </Stack>
              )}
              {step === 'expired' && (
                <>
                  <PasswordInput label={t('login.newPassword')} required autoComplete="new-password" value={form.renewed} onChange={(event) => put('renewed')(event.currentTarget.value)} error={refused || null} />
                  <PasswordInput
                    label={t('login.repeat')} required autoComplete="new-password" value={form.repeated}
                    onChange={(event) => put('repeated')(event.currentTarget.value)} error={differ ? t('login.differ') : null}
                  />
                  {hasDevice && <TextInput label={t('login.otp')} required inputMode="numeric" autoComplete="one-time-code" value={form.otp} onChange={(event) => put('otp')(event.currentTarget.value)} />}
                </>
              )}
              {isLocked ? <Alert color="orange" role="alert">{t('login.locked')}</Alert> : enter.isError && <Refused error={enter.error} />}
              <Button type="submit" fullWidth size="md" loading={enter.isPending}>{t(words.submit)}</Button>
              {step === 'password' && provider.data && (
                <>
                  <Divider label={t('login.or')} />
                  <Button component="a" href={wayTo(provider.data, window.location)} variant="default" fullWidth size="md" h="auto" py="xs" className="wrapped" leftSection={<IconLogin2 size={18} />}>{t('login.with', { name: provider.data.name })}</Button>
                </>
              )}
              {step !== 'password' && <Button variant="subtle" onClick={() => setStep('password')}>{t('action.back')}</Button>}
            </Stack>
          </form>
        </Card>
        <Group justify="center" gap="xs"><LanguageMenu /><SchemeButton /></Group>
      </Stack>
    </Center>
  )
}

/** Why the other site did not lead to a login here. */
function TurnedBack({ refusal }: { refusal: Refusal }) {
  const { t } = useTranslation()
  return (
    <Alert color="orange" role="alert" title={t('login.refused.title')}>
      <Text size="sm">{t(REFUSALS[refusal.code] ?? 'login.refused.other')}</Text>
      {refusal.requestId && <Text size="xs" c="dimmed" mt={4} className="mono">{t('error.request', { id: refusal.requestId })}</Text>}
    </Alert>
  )
}

/** The webserver's codes in the words of people. */
const REFUSALS: Record<string, ParseKeys> = {
  'web.way_expired': 'login.refused.expired',
  'web.provider_declined': 'login.refused.declined',
  'web.provider_untrusted': 'login.refused.untrusted',
  'web.address_unverified': 'login.refused.unverified',
  'web.provider_away': 'login.refused.away',
  'auth.failed': 'login.refused.account',
}

const WORDS = {
  password: { title: 'login.title', hint: null, submit: 'login.submit' },
  otp: { title: 'login.otpTitle', hint: 'login.otpHint', submit: 'login.submit' },
  expired: { title: 'login.expiredTitle', hint: 'login.expiredHint', submit: 'login.renew' },
} as const
