/** What sessions are made of: images, the sizes people pick, and where images come from. */
import { Button, Group, Tabs } from '@mantine/core'
import { IconPlus, IconRefresh } from '@tabler/icons-react'
import { useQueryClient } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { useSearchParams } from 'react-router'
import { Page } from '../../parts/Page'
import { TaskCard } from '../../parts/TaskCard'
import { useHere } from '../../shell/me'
import { Images } from './Images'
import { Presets } from './Presets'
import { Registries } from './Registries'
import { usePresetActions } from './usePresetActions'
import { useRegistryActions } from './useRegistryActions'
import { useTasks } from './useTasks'

const TABS = ['images', 'presets', 'registries'] as const

export default function Environments() {
  const { t } = useTranslation()
  const { me } = useHere()
  const client = useQueryClient()
  const [params, setParams] = useSearchParams()
  const { task, rescan, close } = useTasks()
  const presets = usePresetActions()
  const registries = useRegistryActions()
  const isKeeper = me.role === 'superadmin'
  const shown = isKeeper ? TABS : TABS.filter((tab) => tab !== 'registries')
  const tab = shown.find((one) => one === params.get('tab')) ?? 'images'
  const go = (next: string | null) =>
    setParams((now) => new URLSearchParams([...(next && next !== 'images' ? [['tab', next]] : []), ...(now.get('task') ? [['task', now.get('task')!]] : [])]))
  const buttons = {
    images: <Button variant="default" leftSection={<IconRefresh size={16} />} onClick={() => rescan(null)}>{t('images.rescan')}</Button>,
    presets: <Button leftSection={<IconPlus size={16} />} onClick={presets.askNew}>{t('presets.create')}</Button>,
    registries: (
      <Group gap="xs">
        <Button variant="default" leftSection={<IconRefresh size={16} />} onClick={() => rescan(null)}>{t('images.rescan')}</Button>
        <Button leftSection={<IconPlus size={16} />} onClick={registries.askNew}>{t('registries.add')}</Button>
      </Group>
    ),
  }
  return (
    <Page title={t('environments.title')} hint={t('environments.hint')} actions={isKeeper && buttons[tab]}>
      {task && <TaskCard id={task} title={t('environments.task')} onEnd={() => void client.invalidateQueries({ queryKey: ['images'] })} onClose={close} />}
      <Tabs value={tab} onChange={go} keepMounted={false}>
        <Tabs.List mb="md">{shown.map((one) => <Tabs.Tab key={one} value={one}>{t(`${one}.title`)}</Tabs.Tab>)}</Tabs.List>
        <Tabs.Panel value="images"><Images onRegistries={() => go('registries')} /></Tabs.Panel>
        <Tabs.Panel value="presets"><Presets /></Tabs.Panel>
        {isKeeper && <Tabs.Panel value="registries"><Registries /></Tabs.Panel>}
      </Tabs>
    </Page>
  )
}
