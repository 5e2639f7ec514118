/** What administrators do with accounts. */
import { useTranslation } from 'react-i18next'
import type { Choices } from '../../api/choices'
import { createUser, modifyUser, purgeUser, ROLES, USER_STATUSES, type NewUser, type User, type UserChange } from '../../api/users'
import { askConsent } from '../../parts/consent'
import { confirm } from '../../parts/confirm'
import { openForm, type Field } from '../../parts/FieldForm'
import type { Deed } from '../../parts/RowMenu'
import { useAct } from '../../parts/useAct'
import { optionsOf, useChoices } from '../../parts/useChoices'
import { useHere } from '../../shell/me'

const TOUCHED = [['users'], ['keypairs']]

interface Form extends Omit<NewUser, 'allowed_client_ip'> {
  allowed_client_ip: string[]
}

export function useUserActions() {
  const { t } = useTranslation()
  const { me } = useHere()
  const withChoices = useChoices()
  const create = useAct<NewUser>({ act: createUser, done: ({ email }) => t('admin.created', { name: email }), touches: TOUCHED })
  const modify = useAct<{ email: string; props: Partial<UserChange> & { password?: string } }>({
    act: ({ email, props }) => modifyUser(email, props), done: t('admin.saved'), touches: TOUCHED,
  })
  const purge = useAct<{ email: string; withShared: boolean }>({
    act: ({ email, withShared }) => purgeUser(email, withShared), done: ({ email }) => t('admin.purged', { name: email }), touches: TOUCHED,
  })

  const roles = ROLES.filter((role) => me.role === 'superadmin' || role === 'user' || role === 'admin')
  const fieldsOf = (choices: Choices): Field<Form>[] => [
    { name: 'username', label: t('users.username'), kind: 'text', isRequired: true },
    { name: 'full_name', label: t('users.fullName'), kind: 'text' },
    { name: 'role', label: t('users.role'), kind: 'select', isRequired: true, options: optionsOf(roles) },
    { name: 'domain_name', label: t('users.domain'), kind: 'select', isRequired: true, options: optionsOf(choices.domains) },
    { name: 'group_ids', label: t('projects.title'), kind: 'multiple', options: choices.projects.map(({ id, name, domain_name }) => ({ value: id, label: `${name} (${domain_name})` })) },
    { name: 'resource_policy', label: t('users.policy'), kind: 'select', isRequired: true, options: optionsOf(choices.userPolicies) },
    { name: 'allowed_client_ip', label: t('users.allowedIps'), hint: t('users.allowedIpsHint'), kind: 'tags' },
    { name: 'need_password_change', label: t('users.needsChange'), kind: 'switch' },
    { name: 'description', label: t('admin.description'), kind: 'lines' },
  ]
  const askNew = () => withChoices((choices) =>
    openForm<Form>(t('users.create'), {
      fields: [
        { name: 'email', label: t('users.email'), kind: 'text', isRequired: true },
        { name: 'password', label: t('users.password'), kind: 'password', isRequired: true },
        ...fieldsOf(choices),
      ],
      initial: {
        email: '', password: '', username: '', full_name: '', description: '', status: 'active', role: 'user', domain_name: me.domain,
        group_ids: [], resource_policy: choices.userPolicies[0] ?? 'default', need_password_change: true, allowed_client_ip: [],
      },
      submit: t('action.create'),
      onSubmit: (values) => create.mutateAsync(changeOf(values)),
    }))
  const askChange = (user: User) => withChoices((choices) =>
    openForm<Form>(t('admin.modifyTitle', { name: user.email }), {
      fields: [
        ...fieldsOf(choices),
        { name: 'status', label: t('users.status'), kind: 'select', isRequired: true, options: optionsOf(USER_STATUSES), isDisabled: user.email === me.email },
      ],
      initial: {
        ...user, password: '', full_name: user.full_name ?? '', description: user.description ?? '',
        group_ids: user.groups.map(({ id }) => id), allowed_client_ip: user.allowed_client_ip ?? [],
      },
      submit: t('action.save'),
      onSubmit: (values) => modify.mutateAsync({ email: user.email, props: onlyChange(changeOf(values)) }),
    }))
  const askPassword = ({ email }: User) =>
    openForm(t('users.resetTitle', { name: email }), {
      fields: [
        { name: 'password', label: t('users.newPassword'), kind: 'password', isRequired: true },
        { name: 'need_password_change', label: t('users.needsChange'), kind: 'switch' },
      ],
      initial: { password: '', need_password_change: true },
      submit: t('users.reset'),
      onSubmit: (props) => modify.mutateAsync({ email, props }),
    })
  const setStatus = (users: User[], status: string) => Promise.all(users.map(({ email }) => modify.mutateAsync({ email, props: { status } })))
  const askStop = (users: User[], onDone?: () => void) =>
    confirm({
      title: t('users.stopTitle', { count: users.length }), message: t('users.stopHint'), confirm: t('admin.deactivate'),
      onConfirm: () => setStatus(users, 'inactive').then(onDone, () => undefined),
    })
  const askPurge = ({ email }: User) =>
    askConsent({
      title: t('admin.purgeTitle', { name: email }), message: t('users.purgeHint'), name: email, confirm: t('admin.purge'), choice: t('users.purgeShared'),
      onConfirm: (withShared) => purge.mutateAsync({ email, withShared }).catch(() => undefined),
    })

  const deedsOf = (user: User): Deed[] => {
    const isMe = user.email === me.email
    return [
      { label: t('action.modify'), onClick: () => askChange(user) },
      { label: t('users.reset'), onClick: () => askPassword(user) },
      user.status === 'active'
        ? { label: t('admin.deactivate'), onClick: () => askStop([user]), isDisabled: isMe }
        : { label: t('admin.activate'), onClick: () => void setStatus([user], 'active').catch(() => undefined) },
      { label: t('admin.purge'), onClick: () => askPurge(user), isDanger: true, isDisabled: isMe },
    ]
  }
  return { askNew, askStop, deedsOf }
}

/** No address in the list means that every address is allowed. */
function changeOf(values: Form): NewUser {
  return { ...values, allowed_client_ip: values.allowed_client_ip.length ? values.allowed_client_ip : null }
}

/** What the API takes of an account that is there already. */
function onlyChange(user: NewUser): UserChange {
  const { username, full_name, description, status, role, domain_name, group_ids, resource_policy, need_password_change, allowed_client_ip } = user
  return { username, full_name, description, status, role, domain_name, group_ids, resource_policy, need_password_change, allowed_client_ip }
}
