/** What superadmins do with resource policies. */
import { useTranslation } from 'react-i18next'
import type { Choices } from '../../api/choices'
import { permissionsFor } from '../../api/hosts'
import { createPolicy, deletePolicy, modifyPolicy, type Policy, type PolicyKind } from '../../api/policies'
import { confirm } from '../../parts/confirm'
import { openForm, type Field } from '../../parts/FieldForm'
import type { Deed } from '../../parts/RowMenu'
import { slotFields, slotsOf, slotValues, type SlotValues } from '../../parts/slotFields'
import { useAct } from '../../parts/useAct'
import { CHOICES, optionsOf, useChoices } from '../../parts/useChoices'

const TOUCHED = [['policies'], CHOICES, ['room']]

type Form = Omit<Policy, 'slots' | 'hosts' | 'createdAt'> & { hosts: string[] } & SlotValues

const BLANK: Policy = {
  name: '', createdAt: '', slots: {}, unspecified: 'UNLIMITED', hosts: {}, sessionsMax: 10, pendingMax: null, containersMax: 1, lifetime: 0, idleSeconds: 0, foldersMax: 10, quota: null,
}

export function usePolicyActions(kind: PolicyKind) {
  const { t } = useTranslation()
  const withChoices = useChoices()
  const create = useAct<Policy>({ act: (policy) => createPolicy(kind, policy), done: ({ name }) => t('admin.created', { name }), touches: TOUCHED })
  const modify = useAct<Policy>({ act: (policy) => modifyPolicy(kind, policy), done: t('admin.saved'), touches: TOUCHED })
  const remove = useAct<string>({ act: (name) => deletePolicy(kind, name), done: (name) => t('admin.deleted', { name }), touches: TOUCHED })

  const ofKeypairs = (choices: Choices, { slots, hosts }: Policy): Field<Form>[] => [
    ...slotFields(choices.slots, slots, t('admin.emptyIsNoLimit')),
    { name: 'unspecified', label: t('policies.unspecified'), kind: 'select', isRequired: true, options: [{ value: 'UNLIMITED', label: t('policies.unlimited') }, { value: 'LIMITED', label: t('policies.limited') }] },
    { name: 'sessionsMax', label: t('policies.sessionsMax'), kind: 'number', isRequired: true },
    { name: 'pendingMax', label: t('policies.pendingMax'), hint: t('admin.emptyIsNoLimit'), kind: 'number' },
    { name: 'containersMax', label: t('policies.containersMax'), kind: 'number', isRequired: true },
    { name: 'idleSeconds', label: t('policies.idle'), hint: t('policies.seconds'), kind: 'number' },
    { name: 'lifetime', label: t('policies.lifetime'), hint: t('policies.seconds'), kind: 'number' },
    { name: 'hosts', label: t('projects.hosts'), kind: 'multiple', options: optionsOf([...new Set([...choices.hosts, ...Object.keys(hosts)])]) },
  ]
  const ofFolders: Field<Form>[] = [
    { name: 'foldersMax', label: t('policies.foldersMax'), hint: t('policies.zeroIsNoLimit'), kind: 'number' },
    { name: 'quota', label: t('policies.quota'), hint: t('admin.emptyIsNoLimit'), kind: 'bytes' },
  ]
  const ask = (title: string, policy: Policy, submit: string, act: (policy: Policy) => Promise<unknown>) => withChoices((choices) => {
    const { slots, hosts, createdAt, ...rest } = policy
    openForm<Form>(title, {
      fields: [
        { name: 'name', label: t('admin.name'), kind: 'text', isRequired: true, isDisabled: policy.name !== '' },
        ...(kind === 'keypair' ? ofKeypairs(choices, policy) : ofFolders),
      ],
      initial: { ...slotValues(slots), ...rest, hosts: policy.name ? Object.keys(hosts) : choices.hosts } as Form,
      submit,
      onSubmit: (values) => act({ ...rest, ...values, createdAt, slots: slotsOf(values), hosts: permissionsFor(values.hosts, hosts, choices.hostPermissions) }),
    })
  })
  const askNew = () => ask(t('policies.createOf', { kind: t(`policies.${kind}`) }), BLANK, t('action.create'), create.mutateAsync)
  const deedsOf = (policy: Policy): Deed[] => [
    { label: t('action.modify'), onClick: () => ask(t('admin.modifyTitle', { name: policy.name }), policy, t('action.save'), modify.mutateAsync) },
    {
      label: t('action.delete'), isDanger: true,
      onClick: () => confirm({
        title: t('admin.deleteTitle', { name: policy.name }), message: t('policies.deleteHint'), confirm: t('action.delete'),
        onConfirm: () => remove.mutateAsync(policy.name).catch(() => undefined),
      }),
    },
  ]
  return { askNew, deedsOf }
}
