/** A field for each filter: of text to look for, of words to pick from, or of a day. */
import { Group, MultiSelect, Text, TextInput } from '@mantine/core'
import { useDebouncedCallback } from '@mantine/hooks'
import { IconSearch } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import type { Filter, ListView } from './listView'

interface Props {
  filters: Filter[]
  view: ListView
  onView: (change: Partial<ListView>) => void
}

export function FilterBar({ filters, view, onView }: Props) {
  const { t } = useTranslation()
  const look = useDebouncedCallback((name: string, text: string) => onView({ filters: { [name]: text } }), 300)
  return (
    <Group gap="xs">
      {filters.map(({ name, title, words, isDay }) =>
        isDay ? (
          <TextInput
            key={name} size="xs" w={200} type="date" aria-label={title} leftSection={<Text size="xs" c="dimmed">{title}</Text>} leftSectionWidth={64}
            value={view.filters[name] ?? ''} onChange={(event) => onView({ filters: { [name]: event.currentTarget.value } })}
          />
        ) : words ? (
          <MultiSelect
            key={name} size="xs" w={200} clearable data={[...words]} placeholder={view.filters[name] ? undefined : title}
            aria-label={title} value={view.filters[name]?.split(',') ?? []}
            onChange={(chosen) => onView({ filters: { [name]: chosen.join(',') } })}
          />
        ) : (
          <TextInput
            key={name} size="xs" w={200} placeholder={t('table.search', { column: title })} aria-label={title}
            leftSection={<IconSearch size={14} />} defaultValue={view.filters[name] ?? ''}
            onChange={(event) => look(name, event.currentTarget.value)}
          />
        ),
      )}
    </Group>
  )
}
