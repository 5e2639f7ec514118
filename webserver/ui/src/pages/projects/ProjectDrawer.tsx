/** One project: its facts, and who is in it. */
import { Badge, Button, Drawer, Group, MultiSelect, Stack, Text, Title } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { allOf, contains, isOneOf } from '../../api/graph'
import type { Project } from '../../api/projects'
import { listUsers } from '../../api/users'
import { formatSlots } from '../../format/slots'
import { formatTime } from '../../format/times'
import { Copy } from '../../parts/Copy'
import { Facts } from '../../parts/Facts'
import { RowMenu } from '../../parts/RowMenu'
import { Status } from '../../parts/Status'
import { useProjectActions } from './useProjectActions'

export function ProjectDrawer({ project, onClose }: { project: Project | null; onClose: () => void }) {
  const { t } = useTranslation()
  return (
    <Drawer opened={project !== null} onClose={onClose} position="right" size={560} closeButtonProps={{ 'aria-label': t('action.close') }} title={<Title order={2} size="h4">{project?.name}</Title>}>
      {project && <Body project={project} />}
    </Drawer>
  )
}

function Body({ project }: { project: Project }) {
  const { t, i18n } = useTranslation()
  const { deedsOf } = useProjectActions()
  return (
    <Stack>
      <Group gap="xs">
        {deedsOf(project).map(({ label, onClick, isDanger }) => (
          <Button key={label} size="xs" variant={isDanger ? 'light' : 'default'} color={isDanger ? 'red' : undefined} onClick={onClick}>{label}</Button>
        ))}
      </Group>
      <Facts
        facts={[
          [t('users.status'), <Status key="status" word={project.isActive ? 'active' : 'inactive'} />], [t('users.domain'), project.domain],
          [t('projects.policy'), project.policy], [t('projects.limits'), formatSlots(project.limits) || t('admin.noLimit')],
          [t('projects.hosts'), Object.keys(project.hosts).join(', ')], [t('resourceGroups.title'), project.resourceGroups.join(', ')],
          [t('admin.description'), project.description], [t('admin.createdAt'), formatTime(project.createdAt, i18n.language)],
          [t('users.id'), <Copy key="id" value={project.id} />],
        ]}
      />
      <Members project={project} />
    </Stack>
  )
}

function Members({ project }: { project: Project }) {
  const { t } = useTranslation()
  const { memberDeeds } = useProjectActions()
  return (
    <Stack component="section" gap="xs">
      <Title order={3} size="h5">{t('projects.members')} ({project.members.length})</Title>
      <Adder project={project} />
      {project.members.map((member) => (
        <Group key={member.id} justify="space-between" wrap="nowrap">
          <div style={{ minWidth: 0 }}>
            <Group gap="xs" wrap="nowrap"><Text size="sm" truncate>{member.email}</Text>{member.role === 'admin' && <Badge size="sm" variant="light" tt="none" miw="max-content">{t('projects.admin')}</Badge>}</Group>
            {member.full_name && <Text size="xs" c="dimmed">{member.full_name}</Text>}
          </div>
          <RowMenu name={member.email} deeds={memberDeeds(project, member)} />
        </Group>
      ))}
    </Stack>
  )
}

const FOUND_MAX = 20
const WAIT_MILLISECONDS = 300

function Adder({ project }: { project: Project }) {
  const { t } = useTranslation()
  const { add } = useProjectActions()
  const [written, write] = useState('')
  const [chosen, choose] = useState<string[]>([])
  const [wanted] = useDebouncedValue(written, WAIT_MILLISECONDS)
  const filter = allOf([isOneOf('domain_name', [project.domain]), wanted && contains('email', wanted)])
  const query = useQuery({
    queryKey: ['users', 'found', filter],
    queryFn: ({ signal }) => listUsers({ limit: FOUND_MAX, offset: 0, order: 'email', filter }, signal),
    placeholderData: keepPreviousData,
  })
  const isIn = (email: string) => project.members.some((member) => member.email === email)
  // Who was chosen stays among the options while something else is looked for.
  const [names, setNames] = useState<Record<string, string>>({})
  const found = (query.data?.items ?? []).filter(({ email }) => !isIn(email)).map(({ uuid, email }) => ({ value: uuid, label: email }))
  const kept = chosen.filter((id) => !found.some(({ value }) => value === id)).map((id) => ({ value: id, label: names[id] ?? id }))
  const pick = (ids: string[]) => {
    choose(ids)
    setNames((now) => ({ ...now, ...Object.fromEntries(found.map(({ value, label }) => [value, label])) }))
  }
  return (
    <Group gap="xs" align="flex-end" wrap="nowrap">
      <MultiSelect
        flex={1} label={t('projects.add')} placeholder={t('table.search', { column: t('users.email') })} searchable data={[...found, ...kept]} value={chosen} onChange={pick}
        searchValue={written} onSearchChange={write} nothingFoundMessage={t('admin.nothingFound')} maxDropdownHeight={260}
      />
      <Button disabled={!chosen.length} loading={add.isPending} onClick={() => add.mutate({ project, users: chosen }, { onSuccess: () => choose([]) })}>{t('projects.addThem')}</Button>
    </Group>
  )
}
