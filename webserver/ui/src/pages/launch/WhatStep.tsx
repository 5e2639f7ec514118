/** Kind, name and image of a session; of a batch job also its command. */
import { Group, SegmentedControl, Select, Text, Textarea, TextInput } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { canonicalName, shortName, type Image } from '../../api/images'
import { formatBytes } from '../../format/numbers'
import { freshName, type StepProps } from './form'

export function WhatStep({ form, put, images, onImage }: StepProps & { images: Image[]; onImage: (image: Image) => void }) {
  const { t } = useTranslation()
  const byName = new Map(images.map((image) => [canonicalName(image), image]))
  const names = [...byName.keys()].sort((a, b) => Number(byName.get(b)!.installed) - Number(byName.get(a)!.installed) || a.localeCompare(b))
  return (
    <>
      <SegmentedControl
        value={form.type} aria-label={t('sessions.type')} data={(['interactive', 'batch'] as const).map((type) => ({ value: type, label: t(`launch.${type}`) }))}
        onChange={(type) => put({ type: type as 'interactive' | 'batch', name: freshName(type) })}
      />
      <TextInput label={t('launch.name')} description={t('launch.nameHint')} required value={form.name} maxLength={64} onChange={(event) => put({ name: event.currentTarget.value })} />
      <Select
        label={t('launch.image')} required searchable allowDeselect={false} value={form.image} data={names.map((name) => ({ value: name, label: name }))} maxDropdownHeight={320}
        onChange={(name) => name && onImage(byName.get(name)!)}
        renderOption={({ option }) => {
          const image = byName.get(option.value)!
          return (
            <div>
              <Text size="sm">{shortName(option.value)}</Text>
              <Group gap={6}>
                <Text size="xs" c="dimmed">{[image.registry, image.architecture, formatBytes(image.sizeBytes), !image.installed && t('launch.notInstalled')].filter(Boolean).join(' · ')}</Text>
              </Group>
            </div>
          )
        }}
      />
      {form.type === 'batch' && (
        <>
          <Textarea
            label={t('launch.command')} description={t('launch.commandHint')} required autosize minRows={2} maxRows={10} value={form.command} classNames={{ input: 'mono' }}
            onChange={(event) => put({ command: event.currentTarget.value })}
          />
          <TextInput type="datetime-local" label={t('launch.startsAt')} value={form.startsAt} onChange={(event) => put({ startsAt: event.currentTarget.value })} />
        </>
      )}
    </>
  )
}
