/** Forms told by a list of fields. `openForm` shows one in a dialog, sends it, and keeps it open when refused. */
import { Alert, Button, Group, JsonInput, MultiSelect, NumberInput, PasswordInput, Select, Stack, Switch, TagsInput, Textarea, TextInput } from '@mantine/core'
import { modals } from '@mantine/modals'
import { useState, type FormEvent } from 'react'
import { useTranslation } from 'react-i18next'
import { formatBytes, parseBytes } from '../format/numbers'
import { noteFailure } from './failures'
import { untoast, wordsOf } from './toast'

export type FieldKind = 'text' | 'password' | 'lines' | 'number' | 'bytes' | 'switch' | 'select' | 'multiple' | 'tags' | 'json'
export interface Field<V> {
  name: Extract<keyof V, string>
  label: string
  kind: FieldKind
  hint?: string
  isRequired?: boolean
  /** For `select` and `multiple`. */
  options?: { value: string; label: string }[]
  isDisabled?: boolean
  /** For `password`: what a password manager fills in. */
  autoComplete?: string
}

interface Props<V> {
  fields: Field<V>[]
  initial: V
  submit: string
  onSubmit: (values: V) => Promise<unknown>
  onCancel?: () => void
}

export function FieldForm<V extends object>({ fields, initial, submit, onSubmit, onCancel }: Props<V>) {
  const { t } = useTranslation()
  const [values, setValues] = useState<V>(initial)
  const [error, setError] = useState<unknown>(null)
  const [isSending, setSending] = useState(false)
  const send = (event: FormEvent) => {
    event.preventDefault()
    setSending(true)
    setError(null)
    onSubmit(values)
      .catch((refused: unknown) => {
        noteFailure(refused)
        untoast(refused)
        setError(refused)
      })
      .finally(() => setSending(false))
  }
  return (
    <form onSubmit={send}>
      <Stack gap="sm">
        {fields.map((field) => (
          <Control
            key={field.name} field={field} value={values[field.name]}
            onChange={(value) => setValues((now) => ({ ...now, [field.name]: value }))}
          />
        ))}
        {error !== null && <Refused error={error} />}
        <Group justify="flex-end" gap="xs" mt="xs">
          {onCancel && <Button variant="default" onClick={onCancel}>{t('action.cancel')}</Button>}
          <Button type="submit" loading={isSending}>{submit}</Button>
        </Group>
      </Stack>
    </form>
  )
}

export function openForm<V extends object>(title: string, props: Omit<Props<V>, 'onCancel'>): void {
  const id = modals.open({
    title,
    children: (
      <FieldForm
        {...props}
        onSubmit={async (values: V) => {
          await props.onSubmit(values)
          modals.close(id)
        }}
        onCancel={() => modals.close(id)}
      />
    ),
  })
}

export function Refused({ error }: { error: unknown }) {
  const { t } = useTranslation()
  const { title, detail, requestId } = wordsOf(error)
  return (
    <Alert color="red" title={title} role="alert" style={{ whiteSpace: 'pre-line', overflowWrap: 'anywhere' }}>
      {[detail, requestId && t('error.request', { id: requestId })].filter(Boolean).join('\n')}
    </Alert>
  )
}

interface ControlProps<V> {
  field: Field<V>
  value: unknown
  onChange: (value: unknown) => void
}

function Control<V>({ field, value, onChange }: ControlProps<V>) {
  const { label, hint: description, isRequired: required = false, isDisabled: disabled = false, options = [] } = field
  const common = { label, description, required, disabled, name: field.name }
  const text = { ...common, value: String(value ?? ''), onChange: (event: { currentTarget: { value: string } }) => onChange(event.currentTarget.value) }
  switch (field.kind) {
    case 'text': return <TextInput {...text} />
    case 'password': return <PasswordInput {...text} autoComplete={field.autoComplete ?? 'new-password'} />
    case 'lines': return <Textarea {...text} autosize minRows={3} maxRows={16} />
    case 'json': return <JsonInput {...common} value={String(value ?? '')} onChange={onChange} autosize minRows={3} formatOnBlur />
    case 'number': return <NumberInput {...common} value={(value as number | null) ?? ''} onChange={(next) => onChange(next === '' ? null : Number(next))} />
    case 'bytes': return <BytesInput {...common} value={value as number | null} onChange={onChange} />
    case 'switch': return <Switch {...common} checked={Boolean(value)} onChange={(event) => onChange(event.currentTarget.checked)} />
    case 'select': return <Select {...common} data={options} value={(value as string | null) ?? null} onChange={onChange} searchable={options.length > 8} allowDeselect={!required} />
    case 'multiple': return <MultiSelect {...common} data={options} value={value as string[]} onChange={onChange} searchable />
    case 'tags': return <TagsInput {...common} value={value as string[]} onChange={onChange} />
  }
}

interface BytesProps {
  label: string
  description?: string | undefined
  required: boolean
  disabled: boolean
  name: string
  value: number | null
  onChange: (bytes: number | null) => void
}

/** A size as people write it, "4 GiB"; empty is null. */
export function BytesInput({ value, onChange, ...common }: BytesProps) {
  const { t } = useTranslation()
  const [text, setText] = useState(value === null || value === undefined ? '' : formatBytes(value))
  const bytes = text.trim() ? parseBytes(text) : null
  return (
    <TextInput
      {...common} value={text} placeholder="4 GiB" error={Number.isNaN(bytes) ? t('form.badSize') : null}
      onChange={(event) => {
        setText(event.currentTarget.value)
        const next = event.currentTarget.value.trim() ? parseBytes(event.currentTarget.value) : null
        if (!Number.isNaN(next)) onChange(next)
      }}
    />
  )
}
