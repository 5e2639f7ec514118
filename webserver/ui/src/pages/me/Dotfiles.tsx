/** Files for the home of each session, and the script that runs first. */
import { ActionIcon, Button, Group, Stack, Table, Text } from '@mantine/core'
import { IconPencil, IconTrash } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { addDotfile, deleteDotfile, fetchBootstrap, listDotfiles, replaceDotfile, setBootstrap, type Dotfile } from '../../api/account'
import { Ask } from '../../parts/Ask'
import { confirm } from '../../parts/confirm'
import { FieldForm, openForm } from '../../parts/FieldForm'
import { Section } from '../../parts/Section'
import { useAct } from '../../parts/useAct'

const FILES = ['dotfiles']
const SCRIPT = ['bootstrap']

export function Dotfiles() {
  const { t } = useTranslation()
  const files = useQuery({ queryKey: FILES, queryFn: listDotfiles })
  const script = useQuery({ queryKey: SCRIPT, queryFn: fetchBootstrap })
  const add = useAct<Dotfile>({ act: addDotfile, done: t('me.saved'), touches: [FILES] })
  const replace = useAct<Dotfile>({ act: replaceDotfile, done: t('me.saved'), touches: [FILES] })
  const remove = useAct<string>({ act: deleteDotfile, touches: [FILES] })
  const save = useAct<string>({ act: setBootstrap, done: t('me.saved'), touches: [SCRIPT] })
  const ask = (file: Dotfile | null) =>
    openForm(file ? file.path : t('me.addDotfile'), {
      fields: [
        { name: 'path', label: t('me.path'), kind: 'text', isRequired: true, isDisabled: file !== null },
        { name: 'permission', label: t('me.permission'), kind: 'text', isRequired: true },
        { name: 'data', label: t('me.content'), kind: 'lines' },
      ],
      initial: file ?? { path: '', permission: '644', data: '' },
      submit: t('action.save'),
      onSubmit: (values) => (file ? replace : add).mutateAsync(values),
    })
  return (
    <Stack>
      <Section title={t('me.files')} hint={t('me.dotfilesHint')} action={<Button size="xs" onClick={() => ask(null)}>{t('me.addDotfile')}</Button>}>
        <Ask query={files}>
          {(found) => found.length ? (
            <Table>
              <Table.Tbody>
                {found.map((file) => (
                  <Table.Tr key={file.path}>
                    <Table.Td className="mono">{file.path}</Table.Td>
                    <Table.Td className="mono">{file.permission}</Table.Td>
                    <Table.Td>
                      <Group gap={2} justify="flex-end" wrap="nowrap">
                        <ActionIcon variant="subtle" color="gray" aria-label={`${t('action.modify')} ${file.path}`} onClick={() => ask(file)}><IconPencil size={16} /></ActionIcon>
                        <ActionIcon
                          variant="subtle" color="red" aria-label={`${t('action.delete')} ${file.path}`}
                          onClick={() => confirm({ title: t('me.deleteDotfile', { path: file.path }), message: t('me.deleteDotfileHint'), confirm: t('action.delete'), onConfirm: () => remove.mutateAsync(file.path) })}
                        >
                          <IconTrash size={16} />
                        </ActionIcon>
                      </Group>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          ) : <Text size="sm" c="dimmed">{t('me.noDotfiles')}</Text>}
        </Ask>
      </Section>
      <Section title={t('me.bootstrap')} hint={t('me.bootstrapHint')}>
        <Ask query={script}>
          {(text) => <FieldForm fields={[{ name: 'script', label: t('me.content'), kind: 'lines' }]} initial={{ script: text }} submit={t('action.save')} onSubmit={(values) => save.mutateAsync(values.script)} />}
        </Ask>
      </Section>
    </Stack>
  )
}
