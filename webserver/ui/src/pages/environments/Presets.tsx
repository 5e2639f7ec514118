/** The sizes that people pick by one name in the launcher. */
import { Button, Text } from '@mantine/core'
import { IconPlus, IconRuler2 } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { listPresets, type ResourcePreset } from '../../api/presets'
import { formatBytes } from '../../format/numbers'
import { formatSlots } from '../../format/slots'
import type { Column } from '../../parts/DataTable'
import { Empty } from '../../parts/Empty'
import { useListView } from '../../parts/listView'
import { RowMenu } from '../../parts/RowMenu'
import { WholeTable } from '../../parts/WholeTable'
import { useHere } from '../../shell/me'
import { usePresetActions } from './usePresetActions'

const KEPT = ['tab', 'task']

export function Presets() {
  const { t } = useTranslation()
  const { me } = useHere()
  const [view, setView] = useListView('name', KEPT)
  const { askNew, deedsOf } = usePresetActions()
  const query = useQuery({ queryKey: ['presets'], queryFn: listPresets })
  const isKeeper = me.role === 'superadmin'
  const columns: Column<ResourcePreset>[] = [
    { name: 'name', title: t('admin.name'), order: 'name', text: ({ name }) => name, render: ({ name }) => <Text size="sm" fw={600}>{name}</Text> },
    { name: 'slots', title: t('presets.slots'), text: ({ slots }) => formatSlots(slots), render: ({ slots }) => <Text size="sm">{formatSlots(slots)}</Text> },
    { name: 'shmem', title: t('launch.shmem'), text: ({ sharedMemory }) => String(sharedMemory ?? ''), render: ({ sharedMemory }) => (sharedMemory === null ? t('presets.asImage') : formatBytes(sharedMemory)) },
    ...(isKeeper ? [{ name: 'actions', title: t('admin.actions'), render: (preset: ResourcePreset) => <RowMenu name={preset.name} deeds={deedsOf(preset)} /> }] : []),
  ]
  return (
    <WholeTable
      name="presets" query={query} columns={columns} idOf={({ name }) => name} view={view} onView={setView} filters={[{ name: 'name', title: t('admin.name') }]}
      empty={
        <Empty
          icon={IconRuler2} title={t(view.filters.name ? 'admin.nothingFound' : 'presets.emptyTitle')} hint={t(isKeeper ? 'presets.emptyHint' : 'presets.emptyForUsers')}
          action={isKeeper && <Button leftSection={<IconPlus size={16} />} onClick={askNew}>{t('presets.create')}</Button>}
        />
      }
    />
  )
}
