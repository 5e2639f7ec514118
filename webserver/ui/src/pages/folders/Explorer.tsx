/** The files of one folder: look, drop, fetch, rename, delete. */
import { ActionIcon, Anchor, Breadcrumbs, Button, Group, Menu, Text, UnstyledButton } from '@mantine/core'
import { Dropzone } from '@mantine/dropzone'
import { IconDots, IconFile, IconFolder, IconFolderPlus, IconUpload } from '@tabler/icons-react'
import { useQuery, useQueryClient, type UseQueryResult } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, useParams, useSearchParams } from 'react-router'
import { beginDownload, deleteFiles, fetchFolder, listFiles, makeDirectories, renameFile, ticketUrl, type FileEntry, type FolderInfo } from '../../api/folders'
import type { Page as PageOf } from '../../api/graph'
import { formatBytes } from '../../format/numbers'
import { formatAgo, formatTime } from '../../format/times'
import { uploads } from '../../live/uploads'
import { Ask } from '../../parts/Ask'
import { confirm } from '../../parts/confirm'
import { DataTable, type Column } from '../../parts/DataTable'
import { Empty } from '../../parts/Empty'
import { openForm } from '../../parts/FieldForm'
import { pageHere, useListView } from '../../parts/listView'
import { Page } from '../../parts/Page'
import { toastError } from '../../parts/toast'
import { useAct } from '../../parts/useAct'
import { directoriesOf, joined, pathOfDropped, valueOf } from './paths'
import { Preview } from './Preview'

const KEPT = ['path']

export default function Explorer() {
  const { t } = useTranslation()
  const { folder: id = '' } = useParams()
  const query = useQuery({ queryKey: ['folder', id], queryFn: () => fetchFolder(id) })
  if (query.data) return <Files folder={query.data} />
  return <Page title={t('folders.title')}><Ask query={query} height={400}>{() => null}</Ask></Page>
}

function Files({ folder }: { folder: FolderInfo }) {
  const { t } = useTranslation()
  const client = useQueryClient()
  const [params, setParams] = useSearchParams()
  const [view, setView] = useListView('place', KEPT)
  const [previewed, setPreviewed] = useState<FileEntry | null>(null)
  const open = useRef<() => void>(null)
  const path = params.get('path') ?? ''
  const key = ['folder', folder.id, 'files', path]
  const query = useQuery({ queryKey: key, queryFn: ({ signal }) => listFiles(folder.id, path, signal) })
  const isWritable = folder.permission !== 'ro'
  const touches = [['folder', folder.id]]
  useEffect(() => uploads.onDone((id) => void client.invalidateQueries({ queryKey: ['folder', id] })), [client])

  const remove = useAct<FileEntry[]>({ act: (entries) => deleteFiles(folder.id, entries.map(({ name }) => joined(path, name))), done: t('folders.deleted'), touches })
  const rename = useAct<{ entry: FileEntry; name: string }>({ act: ({ entry, name }) => renameFile(folder.id, joined(path, entry.name), name), done: t('folders.renamed'), touches })
  const make = useAct<string>({ act: (name) => makeDirectories(folder.id, [joined(path, name)]), touches })
  const go = (to: string) => setParams(to ? { path: to } : {})
  const fetchOne = (entry: FileEntry) =>
    beginDownload(folder.id, joined(path, entry.name), entry.type === 'DIRECTORY').then((ticket) => window.location.assign(ticketUrl(ticket)), toastError)

  const drop = async (files: File[]) => {
    const places = files.map((file) => joined(path, pathOfDropped(file)))
    const directories = directoriesOf(places).filter((directory) => directory !== path)
    try {
      if (directories.length) await makeDirectories(folder.id, directories)
      files.forEach((file, index) => uploads.add(folder.id, places[index]!, file))
    } catch (error) {
      toastError(error)
    }
  }
  const askDelete = (entries: FileEntry[], onDone?: () => void) =>
    confirm({
      title: t('folders.deleteFiles', { count: entries.length }),
      message: <Text size="sm">{entries.slice(0, 10).map(({ name }) => name).join(', ')}{entries.length > 10 && ' …'}<br />{t('folders.deleteHint')}</Text>,
      confirm: t('action.delete'),
      onConfirm: () => remove.mutateAsync(entries).then(onDone),
    })
  const askName = (entry: FileEntry) =>
    openForm(t('folders.rename'), {
      fields: [{ name: 'name', label: t('folders.name'), kind: 'text', isRequired: true }],
      initial: { name: entry.name },
      submit: t('action.rename'),
      onSubmit: ({ name }) => rename.mutateAsync({ entry, name }),
    })
  const askDirectory = () =>
    openForm(t('folders.newDirectory'), {
      fields: [{ name: 'name', label: t('folders.name'), kind: 'text', isRequired: true }],
      initial: { name: '' },
      submit: t('action.create'),
      onSubmit: ({ name }) => make.mutateAsync(name),
    })

  const page = { ...query, data: query.data && pageHere(query.data, view, [{ name: 'name', title: '' }], valueOf) } as UseQueryResult<PageOf<FileEntry>>
  const show = (entry: FileEntry) => (entry.type === 'DIRECTORY' ? go(joined(path, entry.name)) : setPreviewed(entry))
  return (
    <Page
      title={folder.name} hint={[folder.host, folder.used_bytes !== null && formatBytes(folder.used_bytes), !isWritable && t('folders.readOnly')].filter(Boolean).join(' · ')}
      actions={isWritable && (
        <>
          <Button variant="default" leftSection={<IconFolderPlus size={16} />} onClick={askDirectory}>{t('folders.newDirectory')}</Button>
          <Button leftSection={<IconUpload size={16} />} onClick={() => open.current?.()}>{t('folders.upload')}</Button>
        </>
      )}
    >
      <Crumbs path={path} root={folder.name} onGo={go} />
      <Dropzone.FullScreen active={isWritable} onDrop={(files) => void drop(files)} openRef={open} styles={{ fullScreen: { zIndex: 300 } }}>
        <Group justify="center" mih="60dvh" style={{ pointerEvents: 'none' }}><IconUpload size={48} /><Text size="xl">{t('folders.drop')}</Text></Group>
      </Dropzone.FullScreen>
      <Picker refOpen={open} onPick={(files) => void drop(files)} />
      <DataTable
        name="files" query={page} idOf={({ name }) => name} view={view} onView={setView} filters={[{ name: 'name', title: t('folders.fileName') }]} onOpen={show}
        columns={useColumns(isWritable, { onShow: show, onDownload: fetchOne, onRename: askName, onDelete: (entry) => askDelete([entry]) })}
        empty={<Empty icon={IconUpload} title={t('folders.emptyDirectory')} {...(isWritable && { hint: t('folders.drop') })} />}
        {...(isWritable && {
          bulk: (entries: FileEntry[], clear: () => void) => <Button size="xs" color="red" variant="light" onClick={() => askDelete(entries, clear)}>{t('action.delete')}</Button>,
        })}
      />
      <Preview folder={folder.id} path={previewed && joined(path, previewed.name)} size={previewed?.size ?? 0} onClose={() => setPreviewed(null)} onDownload={() => previewed && fetchOne(previewed)} />
    </Page>
  )
}

/** The browser's own dialog for files, which the button opens. */
function Picker({ refOpen, onPick }: { refOpen: { current: (() => void) | null }; onPick: (files: File[]) => void }) {
  const { t } = useTranslation()
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => {
    refOpen.current = () => input.current?.click()
  })
  return <input ref={input} type="file" multiple hidden aria-label={t('folders.upload')} data-testid="files" onChange={(event) => { onPick([...(event.currentTarget.files ?? [])]); event.currentTarget.value = '' }} />
}

function Crumbs({ path, root, onGo }: { path: string; root: string; onGo: (path: string) => void }) {
  const { t } = useTranslation()
  const parts = path.split('/').filter(Boolean)
  return (
    <Breadcrumbs aria-label={t('folders.title')}>
      <Anchor component={Link} to="/folders" size="sm">{t('folders.title')}</Anchor>
      {[root, ...parts].map((name, index) => <Anchor key={index} component="button" type="button" size="sm" onClick={() => onGo(parts.slice(0, index).join('/'))}>{name}</Anchor>)}
    </Breadcrumbs>
  )
}

interface Handlers {
  onShow: (entry: FileEntry) => void
  onDownload: (entry: FileEntry) => void
  onRename: (entry: FileEntry) => void
  onDelete: (entry: FileEntry) => void
}

function useColumns(isWritable: boolean, { onShow, onDownload, onRename, onDelete }: Handlers): Column<FileEntry>[] {
  const { t, i18n } = useTranslation()
  return [
    {
      name: 'name', title: t('folders.fileName'), order: 'place', text: ({ name }) => name,
      render: (entry) => {
        const Picture = entry.type === 'DIRECTORY' ? IconFolder : IconFile
        return (
          <UnstyledButton onClick={() => onShow(entry)} fz="sm" miw={150}>
            <Group gap="xs" wrap="nowrap"><Picture size={18} stroke={1.6} aria-hidden style={{ flexShrink: 0 }} /><Text size="sm" fw={entry.type === 'DIRECTORY' ? 600 : 400} style={{ overflowWrap: 'anywhere' }}>{entry.name}</Text></Group>
          </UnstyledButton>
        )
      },
    },
    { name: 'size', title: t('folders.size'), order: 'size', text: ({ size }) => String(size), render: ({ size, type }) => <Text size="sm" style={{ whiteSpace: 'nowrap' }}>{type === 'DIRECTORY' ? '–' : formatBytes(size)}</Text> },
    { name: 'modified', title: t('folders.modified'), order: 'modified', text: ({ modified }) => modified, render: ({ modified }) => <Text size="sm" title={formatTime(modified, i18n.language)} style={{ whiteSpace: 'nowrap' }}>{formatAgo(modified, i18n.language)}</Text> },
    {
      name: 'actions', title: t('folders.actions'),
      render: (entry) => (
        <Menu position="bottom-end">
          <Menu.Target><ActionIcon variant="subtle" color="gray" aria-label={`${t('folders.actions')} ${entry.name}`}><IconDots size={18} /></ActionIcon></Menu.Target>
          <Menu.Dropdown>
            <Menu.Item onClick={() => onDownload(entry)}>{t('folders.download')}</Menu.Item>
            {isWritable && <Menu.Item onClick={() => onRename(entry)}>{t('folders.rename')}</Menu.Item>}
            {isWritable && <Menu.Item color="red" onClick={() => onDelete(entry)}>{t('action.delete')}</Menu.Item>}
          </Menu.Dropdown>
        </Menu>
      ),
    },
  ]
}
