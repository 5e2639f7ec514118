/** What administrators do with projects. */
import { useTranslation } from 'react-i18next'
import type { Choices } from '../../api/choices'
import { permissionsFor } from '../../api/hosts'
import {
  addMembers, createProject, modifyProject, purgeProject, removeMember, setProjectActive, setProjectAdmin, setProjectResourceGroups,
  type Member, type Project, type ProjectChange,
} from '../../api/projects'
import { askConsent } from '../../parts/consent'
import { openForm, type Field } from '../../parts/FieldForm'
import type { Deed } from '../../parts/RowMenu'
import { slotFields, slotsOf, slotValues, type SlotValues } from '../../parts/slotFields'
import { useAct } from '../../parts/useAct'
import { CHOICES, optionsOf, useChoices } from '../../parts/useChoices'
import { ME } from '../../queries'
import { useHere } from '../../shell/me'

// Being in a project, or not, changes what the top bar and one's own pages offer.
const TOUCHED = [['projects'], CHOICES, [...ME]]

type Form = { name: string; description: string; domain: string; policy: string; hosts: string[] } & SlotValues

export function useProjectActions() {
  const { t } = useTranslation()
  const { me } = useHere()
  const withChoices = useChoices()
  const create = useAct<ProjectChange>({ act: createProject, done: ({ name }) => t('admin.created', { name }), touches: TOUCHED })
  const modify = useAct<{ id: string; wanted: ProjectChange }>({ act: ({ id, wanted }) => modifyProject(id, wanted), done: t('admin.saved'), touches: TOUCHED })
  const activate = useAct<Project>({ act: ({ id, isActive }) => setProjectActive(id, !isActive), done: t('admin.saved'), touches: TOUCHED })
  const purge = useAct<Project>({ act: ({ id }) => purgeProject(id), done: ({ name }) => t('admin.purged', { name }), touches: TOUCHED })
  const groups = useAct<{ project: Project; wanted: string[] }>({ act: ({ project, wanted }) => setProjectResourceGroups(project, wanted), done: t('admin.saved'), touches: TOUCHED })
  const add = useAct<{ project: Project; users: string[] }>({ act: ({ project, users }) => addMembers(project.id, users), done: t('admin.saved'), touches: TOUCHED })
  const remove = useAct<{ project: Project; member: Member }>({ act: ({ project, member }) => removeMember(project.id, member.id), done: t('admin.saved'), touches: TOUCHED })
  const promote = useAct<{ project: Project; member: Member }>({
    act: ({ project, member }) => setProjectAdmin(project.id, member.id, member.role !== 'admin'), done: t('admin.saved'), touches: TOUCHED,
  })

  const fieldsOf = (choices: Choices, project?: Project): Field<Form>[] => [
    { name: 'name', label: t('admin.name'), kind: 'text', isRequired: true },
    { name: 'domain', label: t('users.domain'), kind: 'select', isRequired: true, options: optionsOf(choices.domains), isDisabled: project !== undefined },
    { name: 'policy', label: t('projects.policy'), kind: 'select', isRequired: true, options: optionsOf(choices.projectPolicies) },
    { name: 'hosts', label: t('projects.hosts'), kind: 'multiple', options: optionsOf(hostsOf(choices, project)) },
    ...slotFields(choices.slots, project?.limits ?? {}, t('admin.emptyIsNoLimit')),
    { name: 'description', label: t('admin.description'), kind: 'lines' },
  ]
  const wantedOf = ({ name, description, domain, policy, hosts, ...slots }: Form, choices: Choices, before: Project['hosts']): ProjectChange => ({
    name, description, domain, policy, limits: slotsOf(slots), hosts: permissionsFor(hosts, before, choices.hostPermissions),
  })
  const askNew = () => withChoices((choices) =>
    openForm<Form>(t('projects.create'), {
      fields: fieldsOf(choices),
      initial: { name: '', description: '', domain: me.domain, policy: choices.projectPolicies[0] ?? 'default', hosts: choices.hosts } as Form,
      submit: t('action.create'),
      onSubmit: (values) => create.mutateAsync(wantedOf(values, choices, {})),
    }))
  const askChange = (project: Project) => withChoices((choices) =>
    openForm<Form>(t('admin.modifyTitle', { name: project.name }), {
      fields: fieldsOf(choices, project),
      initial: { ...slotValues(project.limits), name: project.name, description: project.description ?? '', domain: project.domain, policy: project.policy, hosts: Object.keys(project.hosts) } as Form,
      submit: t('action.save'),
      onSubmit: (values) => modify.mutateAsync({ id: project.id, wanted: wantedOf(values, choices, project.hosts) }),
    }))
  const askGroups = (project: Project) => withChoices(({ resourceGroups }) =>
    openForm(t('projects.groupsTitle', { name: project.name }), {
      fields: [{ name: 'wanted', label: t('resourceGroups.title'), hint: t('projects.groupsHint'), kind: 'multiple', options: optionsOf(resourceGroups) }],
      initial: { wanted: project.resourceGroups },
      submit: t('action.save'),
      onSubmit: ({ wanted }) => groups.mutateAsync({ project, wanted }),
    }))
  const askPurge = (project: Project) =>
    askConsent({
      title: t('admin.purgeTitle', { name: project.name }), message: t('projects.purgeHint'), name: project.name, confirm: t('admin.purge'),
      onConfirm: () => purge.mutateAsync(project).catch(() => undefined),
    })
  const deedsOf = (project: Project): Deed[] => [
    { label: t('action.modify'), onClick: () => askChange(project) },
    ...(me.role === 'superadmin' ? [{ label: t('projects.groups'), onClick: () => askGroups(project) }] : []),
    { label: t(project.isActive ? 'admin.deactivate' : 'admin.activate'), onClick: () => activate.mutate(project) },
    { label: t('admin.purge'), onClick: () => askPurge(project), isDanger: true },
  ]
  const memberDeeds = (project: Project, member: Member): Deed[] => [
    { label: t(member.role === 'admin' ? 'projects.demote' : 'projects.promote'), onClick: () => promote.mutate({ project, member }) },
    { label: t('projects.remove'), onClick: () => remove.mutate({ project, member }), isDanger: true },
  ]
  return { askNew, deedsOf, memberDeeds, add }
}

/** Administrators of a domain do not see all hosts; those that are allowed already stay. */
function hostsOf({ hosts }: Choices, project?: Project): string[] {
  return [...new Set([...hosts, ...Object.keys(project?.hosts ?? {})])]
}
