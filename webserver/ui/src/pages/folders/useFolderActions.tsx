/** What can be done with folders, wherever they are shown. */
import { Text } from '@mantine/core'
import { modals } from '@mantine/modals'
import { useTranslation } from 'react-i18next'
import { createFolder, deleteFolder, leaveFolder, purgeFolder, renameFolder, restoreFolder, type Folder, type NewFolder } from '../../api/folders'
import { confirm } from '../../parts/confirm'
import { openForm } from '../../parts/FieldForm'
import { useAct } from '../../parts/useAct'
import { useHere } from '../../shell/me'
import { Sharing } from './Sharing'

const TOUCHED = [['folders'], ['folder']]

export function useFolderActions() {
  const { t } = useTranslation()
  const { project } = useHere()
  const toBin = useAct<Folder>({ act: ({ id }) => deleteFolder(id), done: ({ name }) => t('folders.binned', { name }), touches: TOUCHED })
  const restore = useAct<Folder>({ act: ({ id }) => restoreFolder(id), done: ({ name }) => t('folders.restored', { name }), touches: TOUCHED })
  const purge = useAct<Folder>({ act: ({ id }) => purgeFolder(id), done: ({ name }) => t('folders.purged', { name }), touches: TOUCHED })
  const leave = useAct<Folder>({ act: ({ id }) => leaveFolder(id), done: t('folders.left'), touches: TOUCHED })
  const rename = useAct<{ id: string; name: string }>({ act: ({ id, name }) => renameFolder(id, name), done: t('folders.renamed'), touches: TOUCHED })
  const create = useAct<NewFolder>({ act: createFolder, done: ({ name }) => t('folders.created', { name }), touches: [...TOUCHED, ['quota']] })

  const askNew = () =>
    openForm(t('folders.create'), {
      fields: [
        { name: 'name', label: t('folders.name'), kind: 'text', isRequired: true },
        { name: 'whose', label: t('folders.whose'), kind: 'select', isRequired: true, options: [{ value: 'user', label: t('folders.ofMe') }, { value: 'group', label: t('folders.ofProject') }], isDisabled: !project },
        { name: 'usage_mode', label: t('folders.usageMode'), kind: 'select', isRequired: true, options: (['general', 'data', 'model'] as const).map((mode) => ({ value: mode, label: t(`folders.${mode}`) })) },
        { name: 'permission', label: t('folders.permission'), kind: 'select', isRequired: true, options: (['rw', 'ro'] as const).map((word) => ({ value: word, label: t(`folders.${word}`) })) },
        { name: 'cloneable', label: t('folders.cloneable'), kind: 'switch' },
      ],
      initial: { name: '', whose: 'user', usage_mode: 'general', permission: 'rw', cloneable: false },
      submit: t('action.create'),
      onSubmit: ({ whose, ...folder }) => create.mutateAsync({ ...folder, ...(whose === 'group' && project && { group: project.id }) }),
    })
  const askName = ({ id, name }: Folder) =>
    openForm(t('folders.rename'), {
      fields: [{ name: 'name', label: t('folders.name'), kind: 'text', isRequired: true }],
      initial: { name },
      submit: t('action.rename'),
      onSubmit: (values) => rename.mutateAsync({ id, name: values.name }),
    })
  const askPurge = (folder: Folder) =>
    confirm({ title: t('folders.purgeTitle', { name: folder.name }), message: t('folders.purgeHint'), confirm: t('folders.purge'), onConfirm: () => purge.mutateAsync(folder) })
  const askLeave = (folder: Folder) =>
    confirm({ title: t('folders.leaveTitle', { name: folder.name }), message: t('folders.leaveHint'), confirm: t('folders.leave'), onConfirm: () => leave.mutateAsync(folder) })
  const askShare = (folder: Folder) => modals.open({ title: <Text fw={600}>{t('folders.shareTitle', { name: folder.name })}</Text>, size: 'lg', children: <Sharing folder={folder} /> })
  return { askNew, askName, askPurge, askLeave, askShare, toBin: toBin.mutate, restore: restore.mutate }
}
