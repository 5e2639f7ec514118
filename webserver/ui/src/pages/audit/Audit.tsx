/** Who changed what, and when; one change opens beside the list. */
import { Anchor, Drawer, Stack, Table, Text, Title } from '@mantine/core'
import { IconClipboardList } from '@tabler/icons-react'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { listAudit, type AuditEntry } from '../../api/audit'
import { formatTime } from '../../format/times'
import { Copy } from '../../parts/Copy'
import { DataTable, type Column } from '../../parts/DataTable'
import { Empty } from '../../parts/Empty'
import { Facts } from '../../parts/Facts'
import { useListView } from '../../parts/listView'
import { Page } from '../../parts/Page'

export default function Audit() {
  const { t } = useTranslation()
  const [view, setView] = useListView('')
  const [opened, open] = useState<AuditEntry | null>(null)
  const query = useQuery({
    queryKey: ['audit', view],
    queryFn: ({ signal }) => listAudit(view.size, (view.page - 1) * view.size, view.filters, signal),
    placeholderData: keepPreviousData,
  })
  return (
    <Page title={t('audit.title')} hint={t('audit.hint')}>
      <DataTable
        name="audit" query={query} columns={useColumns(open)} idOf={({ id }) => String(id)} view={view} onView={setView} onOpen={open}
        filters={[
          { name: 'email', title: t('users.email') }, { name: 'action', title: t('audit.action') }, { name: 'target_kind', title: t('audit.kind') },
          { name: 'target_id', title: t('audit.target') }, { name: 'since', title: t('audit.since'), isDay: true }, { name: 'until', title: t('audit.until'), isDay: true },
        ]}
        narrowHint={t('audit.emptyHint')} empty={<Empty icon={IconClipboardList} title={t('admin.nothingFound')} />}
      />
      <EntryDrawer entry={opened} onClose={() => open(null)} />
    </Page>
  )
}

function useColumns(open: (entry: AuditEntry) => void): Column<AuditEntry>[] {
  const { t, i18n } = useTranslation()
  return [
    { name: 'at', title: t('audit.at'), text: ({ at }) => at, render: (entry) => <Anchor component="button" type="button" size="sm" style={{ whiteSpace: 'nowrap' }} onClick={() => open(entry)}>{formatTime(entry.at, i18n.language)}</Anchor> },
    { name: 'email', title: t('audit.who'), text: ({ email }) => email, render: ({ email, as_email }) => <div><Text size="sm">{email}</Text>{as_email && <Text size="xs" c="dimmed">{t('audit.as', { email: as_email })}</Text>}</div> },
    { name: 'action', title: t('audit.action'), text: ({ action }) => action, render: ({ action }) => <Text size="sm" className="mono">{action}</Text> },
    { name: 'target', title: t('audit.target'), text: ({ target_kind, target_id }) => `${target_kind} ${target_id}`, render: ({ target_kind, target_id }) => <div><Text size="sm">{target_kind}</Text><Text size="xs" c="dimmed" className="mono">{target_id}</Text></div> },
    { name: 'changed', title: t('audit.changed'), text: (entry) => namesOf(entry).join(' '), render: (entry) => <Text size="sm" maw={280} truncate>{namesOf(entry).join(', ')}</Text> },
  ]
}

function EntryDrawer({ entry, onClose }: { entry: AuditEntry | null; onClose: () => void }) {
  const { t, i18n } = useTranslation()
  return (
    <Drawer opened={entry !== null} onClose={onClose} position="right" size={640} closeButtonProps={{ 'aria-label': t('action.close') }} title={<Title order={2} size="h4">{entry?.action}</Title>}>
      {entry && (
        <Stack>
          <Facts
            facts={[
              [t('audit.at'), formatTime(entry.at, i18n.language)], [t('audit.who'), entry.email], [t('audit.onBehalf'), entry.as_email], [t('audit.kind'), entry.target_kind],
              [t('audit.target'), <Copy key="target" value={entry.target_id} />], [t('users.domain'), entry.domain], [t('audit.request'), <Copy key="request" value={entry.request_id} />],
            ]}
          />
          <Table.ScrollContainer minWidth={420}>
            <Table>
              <Table.Thead><Table.Tr><Table.Th>{t('audit.field')}</Table.Th><Table.Th>{t('audit.before')}</Table.Th><Table.Th>{t('audit.after')}</Table.Th></Table.Tr></Table.Thead>
              <Table.Tbody>
                {namesOf(entry).map((name) => <Table.Tr key={name}><Table.Td>{name}</Table.Td><Table.Td>{shown(entry.before[name])}</Table.Td><Table.Td>{shown(entry.after[name])}</Table.Td></Table.Tr>)}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        </Stack>
      )}
    </Drawer>
  )
}

function namesOf({ before, after }: AuditEntry): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
}

function shown(value: unknown): string {
  if (value === undefined || value === null) return '–'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
