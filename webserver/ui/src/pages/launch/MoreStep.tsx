/** What few sessions need. */
import { TagsInput, Textarea } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { parseEnviron, type StepProps } from './form'

export function MoreStep({ form, put }: StepProps) {
  const { t } = useTranslation()
  const badLine = badLineOf(form.environ)
  return (
    <>
      <Textarea
        label={t('launch.environ')} description={t('launch.environHint')} autosize minRows={2} maxRows={10} value={form.environ} classNames={{ input: 'mono' }}
        error={badLine && t('launch.badEnviron', { line: badLine })} onChange={(event) => put({ environ: event.currentTarget.value })}
      />
      <TagsInput label={t('launch.ports')} description={t('launch.portsHint')} value={form.ports} onChange={(ports) => put({ ports: ports.filter((port) => /^\d{1,5}$/.test(port)) })} />
      <Textarea label={t('launch.script')} autosize minRows={2} maxRows={10} value={form.script} classNames={{ input: 'mono' }} onChange={(event) => put({ script: event.currentTarget.value })} />
    </>
  )
}

function badLineOf(text: string): string | null {
  try {
    parseEnviron(text)
    return null
  } catch (error) {
    return (error as Error).message
  }
}
