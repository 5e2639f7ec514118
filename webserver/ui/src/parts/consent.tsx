/** Asks for the name of what is about to be lost, so that nobody loses it by a slip. */
import { Button, Group, Stack, Switch, Text, TextInput } from '@mantine/core'
import { modals } from '@mantine/modals'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { toastError } from './toast'

interface Question {
  title: string
  message: string
  /** What has to be written. */
  name: string
  /** The word on the button: what will be done. */
  confirm: string
  /** A further choice, off at first. */
  choice?: string
  onConfirm: (isChosen: boolean) => Promise<unknown>
}

export function askConsent({ title, ...question }: Question): void {
  const id = modals.open({ title, children: <Consent {...question} onClose={() => modals.close(id)} /> })
}

function Consent({ message, name, confirm, choice, onConfirm, onClose }: Omit<Question, 'title'> & { onClose: () => void }) {
  const { t } = useTranslation()
  const [written, setWritten] = useState('')
  const [isChosen, setChosen] = useState(false)
  const act = () => {
    onClose()
    void onConfirm(isChosen).catch(toastError)
  }
  return (
    <Stack gap="sm">
      <Text size="sm">{message}</Text>
      {choice && <Switch label={choice} checked={isChosen} onChange={(event) => setChosen(event.currentTarget.checked)} />}
      <TextInput label={t('admin.writeName', { name })} value={written} onChange={(event) => setWritten(event.currentTarget.value)} autoComplete="off" data-autofocus />
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>{t('action.cancel')}</Button>
        <Button color="red" disabled={written !== name} onClick={act}>{confirm}</Button>
      </Group>
    </Stack>
  )
}
