/** One field to look for text, and one picker for each filter that has words. */
import { Group, MultiSelect, TextInput } from '@mantine/core'
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
      {filters.map(({ name, title, words }) =>
        words ? (
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
