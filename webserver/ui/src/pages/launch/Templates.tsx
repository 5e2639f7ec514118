/** Forms that are kept by name, one's own and those of one's projects. */
import { ActionIcon, Button, Group, Modal, Stack, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconTemplate, IconTrash } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import type { Folder } from '../../api/folders'
import { shortName, type Image } from '../../api/images'
import { deleteTemplate, listTemplates, saveTemplate, type Content, type Template } from '../../api/templates'
import { formatSlots } from '../../format/slots'
import { Ask } from '../../parts/Ask'
import { confirm } from '../../parts/confirm'
import { Empty } from '../../parts/Empty'
import { openForm } from '../../parts/FieldForm'
import { useAct } from '../../parts/useAct'
import type { Form } from './form'
import { contentOf, formOf } from './template'

const KEY = ['templates']

interface Props {
  folders: Folder[]
  onPick: (form: Form) => void
}

export function Templates({ folders, onPick }: Props) {
  const { t } = useTranslation()
  const [isOpen, { open, close }] = useDisclosure()
  const query = useQuery({ queryKey: KEY, queryFn: listTemplates, enabled: isOpen })
  const pick = (template: Template) => {
    onPick(formOf(template, folders))
    close()
  }
  return (
    <>
      <Button variant="default" leftSection={<IconTemplate size={16} />} onClick={open}>{t('launch.templates')}</Button>
      <Modal opened={isOpen} onClose={close} title={t('launch.templates')} size="lg" closeButtonProps={{ 'aria-label': t('action.close') }}>
        <Ask query={query}>
          {(templates) => templates.length ? (
            <Stack gap="md">{templates.map((template) => <Row key={template.id} template={template} form={formOf(template, folders)} onPick={() => pick(template)} />)}</Stack>
          ) : <Empty icon={IconTemplate} title={t('launch.noTemplates')} hint={t('launch.noTemplatesHint')} />}
        </Ask>
      </Modal>
    </>
  )
}

function Row({ template, form, onPick }: { template: Template; form: Form; onPick: () => void }) {
  const { t } = useTranslation()
  const remove = useAct<string>({ act: deleteTemplate, done: t('admin.deleted', { name: template.name }), touches: [KEY] })
  const askRemove = () =>
    confirm({ title: t('admin.deleteTitle', { name: template.name }), message: t('launch.deleteTemplateHint'), confirm: t('action.delete'), onConfirm: () => remove.mutateAsync(template.id).catch(() => undefined) })
  return (
    <Group justify="space-between" wrap="nowrap" align="flex-start">
      <div>
        <Text size="sm" fw={600}>{template.name}</Text>
        <Text size="xs" c="dimmed">{[t(`launch.${form.type}`), shortName(form.image), formatSlots(form.slots)].join(' · ')}</Text>
        <Text size="xs" c="dimmed">{t(template.isOwner ? 'launch.templateOwn' : 'launch.templateOf', { email: template.owner, project: template.project })}</Text>
      </div>
      <Group gap="xs" wrap="nowrap">
        <Button size="xs" onClick={onPick} aria-label={t('launch.useOf', { name: template.name })}>{t('launch.use')}</Button>
        {template.isOwner && <ActionIcon variant="subtle" color="red" aria-label={t('admin.deleteTitle', { name: template.name })} onClick={askRemove}><IconTrash size={16} /></ActionIcon>}
      </Group>
    </Group>
  )
}

/** Asks for the name, and keeps the form under it. */
export function useSaveTemplate(project: string) {
  const { t } = useTranslation()
  const save = useAct<{ name: string; content: Content }>({ act: ({ name, content }) => saveTemplate(name, project, content), done: ({ name }) => t('admin.created', { name }), touches: [KEY] })
  return (form: Form, image: Image, folders: Folder[]) =>
    openForm(t('launch.saveTemplate'), {
      fields: [{ name: 'name', label: t('launch.name'), hint: t('launch.saveTemplateHint', { project }), kind: 'text', isRequired: true }],
      initial: { name: '' }, submit: t('action.save'), onSubmit: ({ name }) => save.mutateAsync({ name, content: contentOf(form, image, folders) }),
    })
}
