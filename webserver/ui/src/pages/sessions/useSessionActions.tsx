/** What can be done with sessions, wherever they are shown. */
import { Checkbox, Stack, Text } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { endSession, extendSession, renameSession, restartSession, type Session } from '../../api/sessions'
import { confirm } from '../../parts/confirm'
import { openForm } from '../../parts/FieldForm'
import { useAct } from '../../parts/useAct'

const TOUCHED = [['sessions'], ['session'], ['room']]

export function useSessionActions() {
  const { t } = useTranslation()
  const end = useAct<{ sessions: Session[]; forced: boolean }>({
    act: ({ sessions, forced }) => Promise.all(sessions.map((session) => endSession(session, forced))),
    done: ({ sessions }) => t('sessions.terminating', { count: sessions.length }),
    touches: TOUCHED,
  })
  const restart = useAct<Session>({ act: restartSession, done: t('sessions.restarted'), touches: TOUCHED })
  const extend = useAct<Session>({ act: extendSession, done: t('sessions.extended'), touches: TOUCHED })
  const renamed = useAct<{ session: Session; name: string }>({ act: ({ session, name }) => renameSession(session, name), done: t('sessions.renamed'), touches: TOUCHED })

  const askEnd = (sessions: Session[], onDone?: () => void) => {
    let forced = false
    confirm({
      title: t('sessions.terminateTitle', { count: sessions.length }),
      message: (
        <Stack gap="sm">
          <Text size="sm" fw={500}>{sessions.map(({ name }) => name).join(', ')}</Text>
          <Text size="sm">{t('sessions.terminateHint')}</Text>
          <Checkbox label={t('sessions.forced')} onChange={(event) => (forced = event.currentTarget.checked)} />
        </Stack>
      ),
      confirm: t('sessions.terminate'),
      onConfirm: () => end.mutateAsync({ sessions, forced }).then(onDone, () => undefined),
    })
  }
  const askName = (session: Session) =>
    openForm(t('action.rename'), {
      fields: [{ name: 'name', label: t('sessions.newName'), kind: 'text', isRequired: true }],
      initial: { name: session.name },
      submit: t('action.rename'),
      onSubmit: ({ name }) => renamed.mutateAsync({ session, name }),
    })
  return { askEnd, askName, restart: restart.mutate, extend: extend.mutate, isExtending: extend.isPending }
}
