/** The one table: filters, order, pages, selection, columns and a file, all told by a list of columns. */
import {
  ActionIcon, Box, Button, Card, Checkbox, Group, Menu, Pagination, ScrollArea, Select, Skeleton, Table, Text, Tooltip, UnstyledButton,
} from '@mantine/core'
import { useLocalStorage } from '@mantine/hooks'
import { IconArrowDown, IconArrowUp, IconColumns3, IconFileDownload, IconFilterOff, IconRefresh } from '@tabler/icons-react'
import type { UseQueryResult } from '@tanstack/react-query'
import { useEffect, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import type { Page } from '../api/graph'
import { saveFile, toCsv } from './csv'
import { Empty } from './Empty'
import { Failure } from './Failure'
import { FilterBar } from './FilterBar'
import { PAGE_SIZES, type Filter, type ListView } from './listView'

export interface Column<T> {
  name: string
  title: string
  render: (item: T) => ReactNode
  /** The value as plain text, for the file; without it the column is not in the file. */
  text?: (item: T) => string
  /** The column that the list is ordered by; without it the list cannot be ordered by this one. */
  order?: string
  /** Left out until somebody asks for it. */
  isExtra?: boolean
}

export interface DataTableProps<T> {
  /** What the choice of columns is kept under. */
  name: string
  query: UseQueryResult<Page<T>>
  columns: Column<T>[]
  idOf: (item: T) => string
  view: ListView
  onView: (change: Partial<ListView>) => void
  filters?: Filter[]
  empty: ReactNode
  /** How to look, where no row fits the filters. */
  narrowHint?: string
  onOpen?: (item: T) => void
  /** What can be done with all that are selected. */
  bulk?: (items: T[], clear: () => void) => ReactNode
}

export function DataTable<T>(props: DataTableProps<T>) {
  const { query, columns, idOf, view, onView, filters = [], bulk } = props
  const { t } = useTranslation()
  const [extra, setExtra] = useLocalStorage<string[]>({ key: `columns.${props.name}`, defaultValue: [] })
  const shown = columns.filter((column) => Boolean(column.isExtra) === extra.includes(column.name))
  const [chosen, setChosen] = useState<Set<string>>(new Set())
  const items = query.data?.items ?? []
  const picked = items.filter((item) => chosen.has(idOf(item)))
  const clear = () => setChosen(new Set())
  useEffect(clear, [view])
  const isNarrowed = view.page > 1 || filters.some(({ name }) => view.filters[name])
  const widen = () => onView({ page: 1, filters: Object.fromEntries(filters.map(({ name }) => [name, ''])) })

  const toggle = (id: string) => setChosen((now) => (now.has(id) ? without(now, id) : new Set(now).add(id)))
  const toggleColumn = (name: string) =>
    setExtra(extra.includes(name) ? extra.filter((one) => one !== name) : [...extra, name])
  const save = () => {
    const told = shown.filter((column) => column.text)
    const rows = items.map((item) => told.map((column) => column.text!(item)))
    saveFile(`${props.name}.csv`, toCsv(told.map((column) => column.title), rows), 'text/csv')
  }

  return (
    <Card padding={0}>
      <Group p="sm" justify="space-between" gap="xs" wrap="nowrap" align="flex-start">
        <Box flex={1} miw={0}>
          {picked.length > 0 && bulk ? (
            <Group gap="xs">
              <Text size="sm" fw={600}>{t('table.selected', { count: picked.length })}</Text>
              {bulk(picked, clear)}
            </Group>
          ) : (
            <FilterBar filters={filters} view={view} onView={onView} />
          )}
        </Box>
        <Group gap={4} wrap="nowrap">
          <Tool label={t('action.refresh')} onClick={() => void query.refetch()} loading={query.isFetching && !query.isPending}>
            <IconRefresh size={17} />
          </Tool>
          <Tool label={t('table.save')} onClick={save}><IconFileDownload size={17} /></Tool>
          <Menu closeOnItemClick={false} position="bottom-end">
            <Menu.Target>
              <ActionIcon variant="subtle" color="gray" aria-label={t('table.columns')} title={t('table.columns')}><IconColumns3 size={17} /></ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              {columns.map((column) => (
                <Menu.Item key={column.name} onClick={() => toggleColumn(column.name)}>
                  <Checkbox size="xs" readOnly tabIndex={-1} label={column.title} checked={shown.includes(column)} />
                </Menu.Item>
              ))}
            </Menu.Dropdown>
          </Menu>
        </Group>
      </Group>
      {query.isError && !query.data ? (
        <Box p="sm"><Failure error={query.error} onRetry={() => void query.refetch()} /></Box>
      ) : query.data && items.length === 0 ? (
        isNarrowed ? <NothingFound hint={props.narrowHint} onClear={widen} /> : props.empty
      ) : (
        <ScrollArea viewportProps={{ tabIndex: 0 }}>
          <Table highlightOnHover verticalSpacing="sm" horizontalSpacing="md" aria-busy={query.isPending}>
            <Table.Thead>
              <Table.Tr>
                {bulk && (
                  <Table.Th w={36}>
                    <Checkbox
                      size="xs" aria-label={t('table.selectAll')} checked={items.length > 0 && picked.length === items.length}
                      indeterminate={picked.length > 0 && picked.length < items.length}
                      onChange={() => setChosen(picked.length === items.length ? new Set() : new Set(items.map(idOf)))}
                    />
                  </Table.Th>
                )}
                {shown.map((column) => <Head key={column.name} column={column} view={view} onView={onView} />)}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {query.isPending
                ? Array.from({ length: 5 }, (_, row) => (
                    <Table.Tr key={row}>
                      {bulk && <Table.Td />}
                      {shown.map((column) => <Table.Td key={column.name}><Skeleton height={14} /></Table.Td>)}
                    </Table.Tr>
                  ))
                : items.map((item) => (
                    <Table.Tr
                      key={idOf(item)} className={props.onOpen ? 'table-row' : undefined}
                      onClick={(event) => isPlainClick(event.target) && props.onOpen?.(item)}
                    >
                      {bulk && (
                        <Table.Td>
                          <Checkbox size="xs" aria-label={t('table.select')} checked={chosen.has(idOf(item))} onChange={() => toggle(idOf(item))} />
                        </Table.Td>
                      )}
                      {shown.map((column) => <Table.Td key={column.name} miw={WIDTHS[column.name]}>{column.render(item)}</Table.Td>)}
                    </Table.Tr>
                  ))}
            </Table.Tbody>
          </Table>
        </ScrollArea>
      )}
      <Foot total={query.data?.total} view={view} onView={onView} />
    </Card>
  )
}

function NothingFound({ hint, onClear }: { hint: string | undefined; onClear: () => void }) {
  const { t } = useTranslation()
  return <Empty icon={IconFilterOff} title={t('table.nothingFound')} hint={hint ?? t('table.nothingFoundHint')} action={<Button variant="default" onClick={onClear}>{t('table.clear')}</Button>} />
}

/** Columns of names: on a phone, too, they break after some words and not after each. */
const WIDTHS: Record<string, number> = { name: 180, email: 180, target: 180, why: 150 }

interface HeadProps<T> {
  column: Column<T>
  view: ListView
  onView: (change: Partial<ListView>) => void
}

function Head<T>({ column, view, onView }: HeadProps<T>) {
  const { order, title } = column
  if (!order) return <Table.Th style={{ whiteSpace: 'nowrap' }}>{title}</Table.Th>
  const isUp = view.order === order
  const isDown = view.order === `-${order}`
  const Arrow = isUp ? IconArrowUp : IconArrowDown
  return (
    <Table.Th aria-sort={isUp ? 'ascending' : isDown ? 'descending' : 'none'} style={{ whiteSpace: 'nowrap' }}>
      <UnstyledButton fz="sm" fw={700} onClick={() => onView({ order: isDown ? order : `-${order}` })}>
        <Group gap={4} wrap="nowrap">
          {title}
          {(isUp || isDown) && <Arrow size={13} aria-hidden />}
        </Group>
      </UnstyledButton>
    </Table.Th>
  )
}

function Foot({ total, view, onView }: { total: number | undefined; view: ListView; onView: (change: Partial<ListView>) => void }) {
  const { t } = useTranslation()
  if (!total) return null
  return (
    <Group p="sm" justify="space-between" gap="sm">
      <Text size="sm" c="dimmed">{t('table.total', { count: total })}</Text>
      <Group gap="sm">
        <Select
          size="xs" w={110} aria-label={t('table.size')} allowDeselect={false} value={String(view.size)}
          data={PAGE_SIZES.map((size) => ({ value: String(size), label: t('table.perPage', { size }) }))}
          onChange={(size) => onView({ size: Number(size) })}
        />
        <Pagination
          size="sm" total={Math.ceil(total / view.size)} value={view.page} onChange={(page) => onView({ page })} siblings={0}
          getControlProps={(control) => ({ 'aria-label': t(`table.${control}`) })}
        />
      </Group>
    </Group>
  )
}

function Tool(props: { label: string; onClick: () => void; loading?: boolean; children: ReactNode }) {
  return (
    <Tooltip label={props.label}>
      <ActionIcon variant="subtle" color="gray" aria-label={props.label} onClick={props.onClick} loading={props.loading ?? false}>
        {props.children}
      </ActionIcon>
    </Tooltip>
  )
}

/** Whether a click in a row means the row, and not a control in it. */
function isPlainClick(target: EventTarget): boolean {
  return !(target instanceof Element && target.closest('a, button, input, label, [role="menuitem"]'))
}

function without(set: Set<string>, id: string): Set<string> {
  const next = new Set(set)
  next.delete(id)
  return next
}
