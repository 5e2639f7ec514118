/** A field for each filter: of text to look for, of words to pick from, or of a day. On a phone only the first is always there. */
import { ActionIcon, Collapse, Group, Indicator, MultiSelect, Stack, Text, TextInput } from '@mantine/core'
import { useDebouncedCallback, useDisclosure, useMediaQuery } from '@mantine/hooks'
import { IconFilter, IconSearch } from '@tabler/icons-react'
import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'
import type { Filter, ListView } from './listView'

interface Props {
  filters: Filter[]
  view: ListView
  onView: (change: Partial<ListView>) => void
}

const PHONE = '(max-width: 36em)'

export function FilterBar({ filters, view, onView }: Props) {
  const isPhone = useMediaQuery(PHONE, false, { getInitialValueInEffect: false })
  const [first, ...others] = filters
  if (isPhone && first && others.length) return <Folded first={first} others={others} view={view} onView={onView} />
  return <Group gap="xs">{filters.map((filter) => <Field key={filter.name} filter={filter} width={200} view={view} onView={onView} />)}</Group>
}

function Folded({ first, others, view, onView }: { first: Filter; others: Filter[] } & Omit<Props, 'filters'>) {
  const { t } = useTranslation()
  const set = others.filter(({ name }) => view.filters[name]).length
  const [isOpen, { toggle }] = useDisclosure(set > 0)
  return (
    <Stack gap={0}>
      <Group gap={4} wrap="nowrap">
        <Field filter={first} width="100%" view={view} onView={onView} />
        <Indicator label={set} size={15} disabled={!set} offset={4}>
          <ActionIcon variant={isOpen ? 'light' : 'subtle'} color={isOpen ? 'brand' : 'gray'} aria-expanded={isOpen} aria-label={t('table.filters')} title={t('table.filters')} onClick={toggle}>
            <IconFilter size={17} />
          </ActionIcon>
        </Indicator>
      </Group>
      <Collapse expanded={isOpen}>
        <Stack gap="xs" pt="xs">{others.map((filter) => <Field key={filter.name} filter={filter} width="100%" view={view} onView={onView} />)}</Stack>
      </Collapse>
    </Stack>
  )
}

function Field({ filter: { name, title, words, isDay }, width, view, onView }: { filter: Filter; width: number | string } & Omit<Props, 'filters'>) {
  const { t } = useTranslation()
  const look = useDebouncedCallback((wanted: string) => onView({ filters: { [name]: wanted } }), 300)
  const value = view.filters[name]
  const [text, setText] = useState(value ?? '')
  // Filters are also cleared elsewhere.
  useEffect(() => {
    if (!value) setText('')
  }, [value])
  if (isDay) {
    return (
      <TextInput
        size="xs" w={width} type="date" aria-label={title} leftSection={<Text size="xs" c="dimmed">{title}</Text>} leftSectionWidth={64}
        value={value ?? ''} onChange={(event) => onView({ filters: { [name]: event.currentTarget.value } })}
      />
    )
  }
  if (words) {
    return (
      <MultiSelect
        size="xs" w={width} clearable data={[...words]} placeholder={value ? undefined : title} aria-label={title}
        value={value?.split(',') ?? []} onChange={(chosen) => onView({ filters: { [name]: chosen.join(',') } })}
      />
    )
  }
  return (
    <TextInput
      size="xs" w={width} placeholder={t('table.search', { column: title })} aria-label={title} leftSection={<IconSearch size={14} />}
      value={text}
      onChange={(event) => {
        setText(event.currentTarget.value)
        look(event.currentTarget.value)
      }}
    />
  )
}
