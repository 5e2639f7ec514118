/** One page from nothing to a session; the scheduler says beside it what would happen now. */
import { Alert, Button, Card, Grid, Group, Stack, Title } from '@mantine/core'
import { useClipboard } from '@mantine/hooks'
import { IconCheck, IconLink, IconRocket, IconTemplate } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { useNavigate, useSearchParams } from 'react-router'
import { canonicalName, listImages, type Image } from '../../api/images'
import { createSession, type Created } from '../../api/sessions'
import { listFolders } from '../../api/folders'
import { listResourceGroups } from '../../api/resources'
import { Ask } from '../../parts/Ask'
import { Page } from '../../parts/Page'
import { useAct } from '../../parts/useAct'
import { useHere } from '../../shell/me'
import { DataStep } from './DataStep'
import { keepRecent, linkOf, raisedTo, readForm, requestOf, type Form } from './form'
import { MoreStep } from './MoreStep'
import { Plan } from './Plan'
import { Recent } from './Recent'
import { ResourceStep } from './ResourceStep'
import { Templates, useSaveTemplate } from './Templates'
import { usePlan } from './usePlan'
import { WhatStep } from './WhatStep'

export default function Launch() {
  const { t } = useTranslation()
  const { project } = useHere()
  const images = useQuery({ queryKey: ['images'], queryFn: listImages, staleTime: 60_000 })
  if (project && images.data?.length) return <Launcher images={images.data} project={project} />
  return (
    <Page title={t('launch.title')} hint={t('launch.hint')}>
      {project ? <Ask query={images} height={500}>{() => <Alert color="yellow">{t('launch.noImages')}</Alert>}</Ask> : <Alert color="yellow">{t('launch.noProject')}</Alert>}
    </Page>
  )
}

function Launcher({ images, project }: { images: Image[]; project: { id: string; name: string } }) {
  const { t } = useTranslation()
  const { me } = useHere()
  const navigate = useNavigate()
  const clipboard = useClipboard()
  const askSave = useSaveTemplate(project.name)
  const [params] = useSearchParams()
  const [form, setForm] = useState(() => withDefaults(readForm(params), images))
  const put = (change: Partial<Form>) => setForm((now) => ({ ...now, ...change }))
  const image = images.find((one) => canonicalName(one) === form.image)
  const groups = useQuery({ queryKey: ['resource-groups', project.name], queryFn: () => listResourceGroups(project.name) })
  const folders = useQuery({ queryKey: ['folders', project.id], queryFn: () => listFolders(project.id) })
  const plan = usePlan(form, project.name, image?.architecture ?? '')
  const [firstGroup] = groups.data ?? []
  useEffect(() => {
    if (firstGroup && !groups.data?.some(({ name }) => name === form.group)) put({ group: firstGroup.name })
  }, [groups.data, form.group, firstGroup])

  const launch = useAct<void>({
    act: async () => {
      const created: Created = await createSession(requestOf(form, image!, project.name, me.domain))
      keepRecent(form)
      void navigate(`/sessions?open=${created.sessionId}`)
    },
    done: t('launch.done', { name: form.name }),
    touches: [['sessions'], ['room']],
  })
  const isReady = Boolean(image && form.group && form.name.trim() && (form.type !== 'batch' || form.command.trim()))

  return (
    <Page title={t('launch.title')} hint={t('launch.hint')} actions={<><Templates folders={folders.data ?? []} onPick={(kept) => setForm(withDefaults(kept, images))} /><Recent onPick={(kept) => setForm(withDefaults(kept, images))} /></>}>
      <form onSubmit={(event) => { event.preventDefault(); if (isReady) launch.mutate() }}>
        <Grid gap="lg">
          <Grid.Col span={{ base: 12, md: 7.5 }}>
            <Stack gap="md">
              <Step number={1} title={t('launch.what')}><WhatStep form={form} put={put} images={images} onImage={(one) => put({ image: canonicalName(one), slots: raisedTo(form.slots, one) })} /></Step>
              <Step number={2} title={t('launch.resources')}><ResourceStep form={form} put={put} image={image} groups={groups} plan={plan} /></Step>
              <Step number={3} title={t('launch.data')}><DataStep form={form} put={put} folders={folders} /></Step>
              <Step number={4} title={t('launch.more')}><MoreStep form={form} put={put} /></Step>
            </Stack>
          </Grid.Col>
          <Grid.Col span={{ base: 12, md: 4.5 }}>
            <Stack style={{ position: 'sticky', top: 76 }}>
              <Plan form={form} image={image} plan={plan} folders={folders.data ?? []} />
              <Button type="submit" size="md" disabled={!isReady} loading={launch.isPending} leftSection={<IconRocket size={18} />}>{t('launch.submit')}</Button>
              <Button
                variant="subtle" size="xs" leftSection={clipboard.copied ? <IconCheck size={14} /> : <IconLink size={14} />}
                onClick={() => clipboard.copy(linkOf(form, window.location.origin))}
              >
                {t(clipboard.copied ? 'action.copied' : 'launch.link')}
              </Button>
              <Button variant="subtle" size="xs" leftSection={<IconTemplate size={14} />} disabled={!image} onClick={() => askSave(form, image!, folders.data ?? [])}>{t('launch.saveTemplate')}</Button>
            </Stack>
          </Grid.Col>
        </Grid>
      </form>
    </Page>
  )
}

function Step({ number, title, children }: { number: number; title: string; children: ReactNode }) {
  return (
    <Card component="section" aria-label={title}>
      <Group gap="sm" mb="md">
        <Title order={2} size="h4">{number}. {title}</Title>
      </Group>
      <Stack gap="md">{children}</Stack>
    </Card>
  )
}

/** Of a form without an image: one that people can look into, of those that need not be fetched. */
function withDefaults(form: Form, images: Image[]): Form {
  if (images.some((image) => canonicalName(image) === form.image)) return form
  const installed = images.filter((image) => image.installed)
  const pool = installed.length ? installed : images
  const image = pool.find(({ name }) => /jupyter/.test(name)) ?? pool.find(({ name }) => /python/.test(name)) ?? pool[0]
  return image ? { ...form, image: canonicalName(image), slots: raisedTo(form.slots, image) } : form
}
