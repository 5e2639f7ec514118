/** What superadmins do with registries. */
import { useTranslation } from 'react-i18next'
import { addRegistry, modifyRegistry, REGISTRY_KINDS, removeRegistry, type Registry } from '../../api/registries'
import { confirm } from '../../parts/confirm'
import { openForm, type Field } from '../../parts/FieldForm'
import type { Deed } from '../../parts/RowMenu'
import { useAct } from '../../parts/useAct'
import { optionsOf } from '../../parts/useChoices'
import { useTasks } from './useTasks'

const TOUCHED = [['registries']]
const BLANK: Registry = { hostname: '', url: 'https://', type: 'docker', projects: [], username: '', password: '', hasPassword: false, sslVerify: true }

export function useRegistryActions() {
  const { t } = useTranslation()
  const { rescan } = useTasks()
  const add = useAct<Registry>({ act: addRegistry, done: ({ hostname }) => t('admin.created', { name: hostname }), touches: TOUCHED, onDone: ({ hostname }) => rescan(hostname) })
  const modify = useAct<Registry>({ act: modifyRegistry, done: t('admin.saved'), touches: TOUCHED })
  const remove = useAct<string>({ act: removeRegistry, done: (name) => t('admin.deleted', { name }), touches: TOUCHED })
  const fieldsOf = ({ hostname, hasPassword }: Registry): Field<Registry>[] => [
    { name: 'hostname', label: t('registries.hostname'), hint: t('registries.hostnameHint'), kind: 'text', isRequired: true, isDisabled: hostname !== '' },
    { name: 'url', label: t('registries.url'), hint: t('registries.urlHint'), kind: 'text', isRequired: true },
    { name: 'type', label: t('sessions.type'), kind: 'select', isRequired: true, options: optionsOf(REGISTRY_KINDS) },
    { name: 'projects', label: t('registries.projects'), hint: t('registries.projectsHint'), kind: 'tags' },
    { name: 'username', label: t('users.username'), hint: t('registries.usernameHint'), kind: 'text' },
    { name: 'password', label: t('users.password'), kind: 'password', ...(hasPassword && { hint: t('registries.passwordHint') }) },
    { name: 'sslVerify', label: t('registries.sslVerify'), kind: 'switch' },
  ]
  const askNew = () => openForm<Registry>(t('registries.add'), { fields: fieldsOf(BLANK), initial: BLANK, submit: t('registries.addAndRescan'), onSubmit: (values) => add.mutateAsync(values) })
  const deedsOf = (registry: Registry): Deed[] => [
    { label: t('images.rescan'), onClick: () => rescan(registry.hostname) },
    {
      label: t('action.modify'),
      onClick: () => openForm<Registry>(t('admin.modifyTitle', { name: registry.hostname }), { fields: fieldsOf(registry), initial: registry, submit: t('action.save'), onSubmit: (values) => modify.mutateAsync(values) }),
    },
    {
      label: t('action.delete'), isDanger: true,
      onClick: () => confirm({ title: t('admin.deleteTitle', { name: registry.hostname }), message: t('registries.deleteHint'), confirm: t('action.delete'), onConfirm: () => remove.mutateAsync(registry.hostname).catch(() => undefined) }),
    },
  ]
  return { askNew, deedsOf }
}
