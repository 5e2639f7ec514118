/** What superadmins do with domains. */
import { useTranslation } from 'react-i18next'
import type { Choices } from '../../api/choices'
import { permissionsFor } from '../../api/hosts'
import { createDomain, modifyDomain, purgeDomain, setDomainActive, setDomainResourceGroups, type Domain, type DomainChange } from '../../api/projects'
import { askConsent } from '../../parts/consent'
import { openForm, type Field } from '../../parts/FieldForm'
import type { Deed } from '../../parts/RowMenu'
import { slotFields, slotsOf, slotValues, type SlotValues } from '../../parts/slotFields'
import { useAct } from '../../parts/useAct'
import { CHOICES, optionsOf, useChoices } from '../../parts/useChoices'

const TOUCHED = [['domains'], CHOICES]

type Form = { name: string; description: string; hosts: string[]; registries: string[] } & SlotValues

export function useDomainActions() {
  const { t } = useTranslation()
  const withChoices = useChoices()
  const create = useAct<DomainChange>({ act: createDomain, done: ({ name }) => t('admin.created', { name }), touches: TOUCHED })
  const modify = useAct<DomainChange>({ act: modifyDomain, done: t('admin.saved'), touches: TOUCHED })
  const activate = useAct<Domain>({ act: ({ name, isActive }) => setDomainActive(name, !isActive), done: t('admin.saved'), touches: TOUCHED })
  const groups = useAct<{ domain: Domain; wanted: string[] }>({ act: ({ domain, wanted }) => setDomainResourceGroups(domain, wanted), done: t('admin.saved'), touches: TOUCHED })
  const purge = useAct<string>({ act: purgeDomain, done: (name) => t('admin.purged', { name }), touches: TOUCHED })

  const fieldsOf = (choices: Choices, domain?: Domain): Field<Form>[] => [
    { name: 'name', label: t('admin.name'), kind: 'text', isRequired: true, isDisabled: domain !== undefined },
    { name: 'hosts', label: t('projects.hosts'), kind: 'multiple', options: optionsOf([...new Set([...choices.hosts, ...Object.keys(domain?.hosts ?? {})])]) },
    { name: 'registries', label: t('domains.registries'), hint: t('domains.registriesHint'), kind: 'tags' },
    ...slotFields(choices.slots, domain?.limits ?? {}, t('admin.emptyIsNoLimit')),
    { name: 'description', label: t('admin.description'), kind: 'lines' },
  ]
  const wantedOf = ({ name, description, registries, hosts, ...slots }: Form, choices: Choices, before: Domain['hosts']): DomainChange => ({
    name, description, registries, limits: slotsOf(slots), hosts: permissionsFor(hosts, before, choices.hostPermissions),
  })
  const askNew = () => withChoices((choices) =>
    openForm<Form>(t('domains.create'), {
      fields: fieldsOf(choices),
      initial: { name: '', description: '', hosts: choices.hosts, registries: [] as string[] } as Form,
      submit: t('action.create'),
      onSubmit: (values) => create.mutateAsync(wantedOf(values, choices, {})),
    }))
  const askChange = (domain: Domain) => withChoices((choices) =>
    openForm<Form>(t('admin.modifyTitle', { name: domain.name }), {
      fields: fieldsOf(choices, domain),
      initial: { ...slotValues(domain.limits), name: domain.name, description: domain.description ?? '', hosts: Object.keys(domain.hosts), registries: domain.registries } as Form,
      submit: t('action.save'),
      onSubmit: (values) => modify.mutateAsync(wantedOf(values, choices, domain.hosts)),
    }))
  const askGroups = (domain: Domain) => withChoices(({ resourceGroups }) =>
    openForm(t('projects.groupsTitle', { name: domain.name }), {
      fields: [{ name: 'wanted', label: t('resourceGroups.title'), hint: t('domains.groupsHint'), kind: 'multiple', options: optionsOf(resourceGroups) }],
      initial: { wanted: domain.resourceGroups },
      submit: t('action.save'),
      onSubmit: ({ wanted }) => groups.mutateAsync({ domain, wanted }),
    }))
  const askPurge = ({ name }: Domain) =>
    askConsent({ title: t('admin.purgeTitle', { name }), message: t('domains.purgeHint'), name, confirm: t('admin.purge'), onConfirm: () => purge.mutateAsync(name).catch(() => undefined) })

  const deedsOf = (domain: Domain): Deed[] => [
    { label: t('action.modify'), onClick: () => askChange(domain) },
    { label: t('projects.groups'), onClick: () => askGroups(domain) },
    { label: t(domain.isActive ? 'admin.deactivate' : 'admin.activate'), onClick: () => activate.mutate(domain) },
    { label: t('admin.purge'), onClick: () => askPurge(domain), isDanger: true },
  ]
  return { askNew, deedsOf }
}
