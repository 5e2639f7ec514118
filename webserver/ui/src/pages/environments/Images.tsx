/** The images that somebody may use: filtered, and one opened beside the list. */
import { Anchor, Button, Group, Text } from '@mantine/core'
import { IconBox } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { canonicalName, isFetched, listImages, type Image } from '../../api/images'
import { formatBytes } from '../../format/numbers'
import { formatSlots, type Slots } from '../../format/slots'
import type { Column } from '../../parts/DataTable'
import { Empty } from '../../parts/Empty'
import { useListView, type Filter } from '../../parts/listView'
import { RowMenu } from '../../parts/RowMenu'
import { useOpen } from '../../parts/useOpen'
import { WholeTable } from '../../parts/WholeTable'
import { useHere } from '../../shell/me'
import { ImageDrawer } from './ImageDrawer'
import { Installed } from './Installed'
import { useImageActions } from './useImageActions'

const KEPT = ['open', 'tab', 'task']

export function Images({ onRegistries }: { onRegistries: () => void }) {
  const { t } = useTranslation()
  const { me } = useHere()
  const [view, setView] = useListView('name', KEPT)
  const [opened, open] = useOpen()
  const { askForget, askMove } = useImageActions()
  const query = useQuery({ queryKey: ['images'], queryFn: listImages, staleTime: 60_000 })
  const images = query.data ?? []
  const isKeeper = me.role === 'superadmin'
  const filters: Filter[] = [
    { name: 'name', title: t('admin.name') },
    { name: 'registry', title: t('images.registry'), words: wordsOf(images, ({ registry }) => registry) },
    { name: 'architecture', title: t('agents.architecture'), words: wordsOf(images, ({ architecture }) => architecture) },
    { name: 'installed', title: t('images.state'), words: [t('images.installed'), t('images.missing')] },
  ]
  const columns = useColumns(open)
  return (
    <>
      <WholeTable
        name="images" query={query} columns={columns} idOf={({ id }) => id} view={view} onView={setView} filters={filters} onOpen={({ id }) => open(id)}
        keyOf={(image, name) => (name === 'size' ? image.sizeBytes : undefined)}
        {...(isKeeper && {
          bulk: (items: Image[], clear: () => void) => (
            <Group gap="xs">
              <Button size="xs" variant="default" disabled={!items.every(isFetched)} onClick={() => askMove(true, items)}>{t('images.bring')}</Button>
              <Button size="xs" variant="default" disabled={!items.every(isFetched)} onClick={() => askMove(false, items)}>{t('images.take')}</Button>
              <Button size="xs" color="red" variant="light" onClick={() => askForget(items, clear)}>{t('images.forget')}</Button>
            </Group>
          ),
        })}
        empty={
          <Empty
            icon={IconBox} title={t('images.emptyTitle')} hint={t(isKeeper ? 'images.emptyHint' : 'images.emptyForUsers')}
            action={isKeeper && <Button onClick={onRegistries}>{t('registries.title')}</Button>}
          />
        }
      />
      <ImageDrawer image={images.find(({ id }) => id === opened) ?? null} onClose={() => open(null)} />
    </>
  )
}

function useColumns(open: (id: string) => void): Column<Image>[] {
  const { t } = useTranslation()
  const { deedsOf } = useImageActions()
  return [
    {
      name: 'name', title: t('admin.name'), order: 'name', text: canonicalName,
      render: (image) => (
        <div>
          <Anchor component="button" type="button" size="sm" fw={600} ta="left" onClick={() => open(image.id)}>{`${image.name}:${image.tag}`}</Anchor>
          {image.registry && <Text size="xs" c="dimmed">{image.registry}</Text>}
        </div>
      ),
    },
    { name: 'installed', title: t('images.state'), order: 'installed', text: ({ installed }) => t(installed ? 'images.installed' : 'images.missing'), render: ({ installed }) => <Installed is={installed} /> },
    { name: 'size', title: t('images.size'), order: 'size', text: ({ sizeBytes }) => String(sizeBytes), render: ({ sizeBytes }) => <Text size="sm" style={{ whiteSpace: 'nowrap' }}>{sizeBytes ? formatBytes(sizeBytes) : '–'}</Text> },
    { name: 'architecture', title: t('agents.architecture'), order: 'architecture', text: ({ architecture }) => architecture, render: ({ architecture }) => architecture },
    { name: 'needs', title: t('images.needs'), text: (image) => formatSlots(leastOf(image)), render: (image) => <Text size="sm" style={{ whiteSpace: 'nowrap' }}>{formatSlots(leastOf(image)) || '–'}</Text> },
    { name: 'registry', title: t('images.registry'), order: 'registry', text: ({ registry }) => registry, render: ({ registry }) => registry || '–', isExtra: true },
    { name: 'aliases', title: t('images.aliases'), text: ({ aliases }) => aliases.join(' '), render: ({ aliases }) => aliases.join(', ') || '–', isExtra: true },
    { name: 'accelerators', title: t('images.accelerators'), text: ({ accelerators }) => accelerators.join(' '), render: ({ accelerators }) => accelerators.join(', ') || '–', isExtra: true },
    { name: 'actions', title: t('admin.actions'), render: (image) => <RowMenu name={canonicalName(image)} deeds={deedsOf(image)} /> },
  ]
}

/** What a session of it needs. */
function leastOf({ limits }: Image): Slots {
  return Object.fromEntries(Object.entries(limits).map(([slot, { min }]) => [slot, min]))
}

function wordsOf(images: Image[], wordOf: (image: Image) => string): string[] {
  return [...new Set(images.map(wordOf).filter(Boolean))].sort()
}
