/** Asks before what cannot be taken back. */
import { Text } from '@mantine/core'
import { modals } from '@mantine/modals'
import i18next from 'i18next'
import type { ReactNode } from 'react'
import { toastError } from './toast'

interface Question {
  title: string
  message: ReactNode
  /** The word on the button: what will be done. */
  confirm: string
  onConfirm: () => Promise<unknown>
}

export function confirm({ title, message, confirm: word, onConfirm }: Question): void {
  modals.openConfirmModal({
    title,
    children: typeof message === 'string' ? <Text size="sm">{message}</Text> : message,
    labels: { confirm: word, cancel: i18next.t('action.cancel') },
    confirmProps: { color: 'red' },
    onConfirm: () => void onConfirm().catch(toastError),
  })
}
