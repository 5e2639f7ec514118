/** What administrators do with keypairs. */
import { Stack, Text } from '@mantine/core'
import { modals } from '@mantine/modals'
import { useTranslation } from 'react-i18next'
import { createKeypair, deleteKeypair, modifyKeypair, type Keypair, type KeypairChange, type KeypairSecret } from '../../api/users'
import { confirm } from '../../parts/confirm'
import { Copy } from '../../parts/Copy'
import { Facts } from '../../parts/Facts'
import { openForm, type Field } from '../../parts/FieldForm'
import type { Deed } from '../../parts/RowMenu'
import { useAct } from '../../parts/useAct'
import { optionsOf, useChoices } from '../../parts/useChoices'

const TOUCHED = [['keypairs']]
const CALLS = 30_000

interface Form extends KeypairChange {
  email: string
}

export function useKeypairActions() {
  const { t } = useTranslation()
  const withChoices = useChoices()
  const create = useAct<Form>({
    act: ({ email, ...props }) => createKeypair(email, props).then((secret) => showSecret(secret, t('keypairs.newTitle'), t('keypairs.once'), [t('keypairs.accessKey'), t('keypairs.secretKey')])),
    touches: TOUCHED,
  })
  const modify = useAct<{ key: string; props: Partial<KeypairChange> }>({ act: ({ key, props }) => modifyKeypair(key, props), done: t('admin.saved'), touches: TOUCHED })
  const remove = useAct<string>({ act: deleteKeypair, done: (name) => t('admin.deleted', { name }), touches: TOUCHED })

  const fieldsOf = (policies: string[]): Field<Form>[] => [
    { name: 'resource_policy', label: t('keypairs.policy'), kind: 'select', isRequired: true, options: optionsOf(policies) },
    { name: 'rate_limit', label: t('keypairs.rateLimit'), kind: 'number', isRequired: true },
    { name: 'is_admin', label: t('keypairs.isAdmin'), kind: 'switch' },
  ]
  const askNew = (email = '') => withChoices(({ keypairPolicies }) =>
    openForm<Form>(t('keypairs.create'), {
      fields: [{ name: 'email', label: t('users.email'), kind: 'text', isRequired: true, isDisabled: email !== '' }, ...fieldsOf(keypairPolicies)],
      initial: { email, resource_policy: keypairPolicies[0] ?? 'default', rate_limit: CALLS, is_admin: false, is_active: true },
      submit: t('action.create'),
      onSubmit: (values) => create.mutateAsync(values),
    }))
  const askChange = ({ access_key: key, user_id: email, resource_policy, rate_limit, is_admin, is_active }: Keypair) => withChoices(({ keypairPolicies }) =>
    openForm<Form>(t('admin.modifyTitle', { name: key }), {
      fields: fieldsOf(keypairPolicies),
      initial: { email, resource_policy, rate_limit, is_admin, is_active },
      submit: t('action.save'),
      onSubmit: (values) => modify.mutateAsync({ key, props: { resource_policy: values.resource_policy, rate_limit: values.rate_limit, is_admin: values.is_admin } }),
    }))
  const askDelete = (key: string) =>
    confirm({ title: t('admin.deleteTitle', { name: key }), message: t('keypairs.deleteHint'), confirm: t('action.delete'), onConfirm: () => remove.mutateAsync(key).catch(() => undefined) })

  const deedsOf = (keypair: Keypair): Deed[] => [
    { label: t('action.modify'), onClick: () => askChange(keypair) },
    {
      label: t(keypair.is_active ? 'admin.deactivate' : 'admin.activate'),
      onClick: () => modify.mutate({ key: keypair.access_key, props: { is_active: !keypair.is_active } }),
    },
    { label: t('action.delete'), onClick: () => askDelete(keypair.access_key), isDanger: true },
  ]
  return { askNew, deedsOf }
}

function showSecret({ access_key, secret_key }: KeypairSecret, title: string, hint: string, names: [string, string]): void {
  modals.open({
    title,
    children: (
      <Stack>
        <Text size="sm">{hint}</Text>
        <Facts facts={[[names[0], <Copy key="access" value={access_key} />], [names[1], <Copy key="secret" value={secret_key} />]]} />
      </Stack>
    ),
  })
}
