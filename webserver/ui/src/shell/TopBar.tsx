/** The right end of the top: project, search, language, theme, and the user. */
import { ActionIcon, Avatar, Group, Menu, Select, Text, Tooltip, UnstyledButton, useComputedColorScheme, useMantineColorScheme } from '@mantine/core'
import { spotlight } from '@mantine/spotlight'
import { IconLanguage, IconLogout, IconMoon, IconSearch, IconSettings, IconSun, IconUser } from '@tabler/icons-react'
import { useQueryClient } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'
import { useNavigate } from 'react-router'
import { logout } from '../api/login'
import { chooseLanguage, LANGUAGES, type Language } from '../i18n'
import { useAct } from '../parts/useAct'
import { ME } from '../queries'
import { Bell } from './Bell'
import { LanguageMenu, SchemeButton } from './Looks'
import { useHere } from './me'

export function TopBar() {
  const { t } = useTranslation()
  const { me, project, chooseProject } = useHere()
  return (
    <>
      <Select
        size="xs" w={{ base: 120, sm: 180 }} ml="auto" aria-label={t('top.project')} allowDeselect={false} value={project?.id ?? null}
        data={me.projects.map(({ id, name }) => ({ value: id, label: name }))} onChange={(id) => id && chooseProject(id)}
      />
      <Tooltip label={`${t('top.search')} (Ctrl K)`}>
        <ActionIcon variant="subtle" color="gray" size="lg" onClick={spotlight.open} aria-label={t('top.search')}><IconSearch size={19} /></ActionIcon>
      </Tooltip>
      <Group gap={0} visibleFrom="xs" wrap="nowrap">
        <LanguageMenu />
        <SchemeButton />
      </Group>
      <Bell />
      <UserMenu />
    </>
  )
}

function UserMenu() {
  const { t, i18n } = useTranslation()
  const { me } = useHere()
  const navigate = useNavigate()
  const { setColorScheme } = useMantineColorScheme()
  const isDark = useComputedColorScheme('light') === 'dark'
  const client = useQueryClient()
  const leave = useAct({
    act: logout,
    onDone: () => {
      // What is looked at now knows at once; the rest is forgotten, for whoever comes next.
      client.setQueryData(ME, null)
      client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== ME[0] })
      void navigate('/start')
    },
  })
  const other: Language = i18n.language === 'ko' ? 'en' : 'ko'
  return (
    <Menu position="bottom-end" width={220}>
      <Menu.Target>
        <UnstyledButton aria-label={t('top.user')}><Avatar color="brand" size={34} alt=""><IconUser size={19} /></Avatar></UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          <Text size="sm" fw={600} truncate>{me.fullName}</Text>
          <Text size="xs" truncate>{me.email}</Text>
          <Text size="xs">{me.role} · {me.domain}</Text>
        </Menu.Label>
        <Menu.Divider />
        <Menu.Item leftSection={<IconSettings size={16} />} onClick={() => void navigate('/me')}>{t('me.title')}</Menu.Item>
        <Menu.Item hiddenFrom="xs" leftSection={<IconLanguage size={16} />} onClick={() => chooseLanguage(other)}>{LANGUAGES[other]}</Menu.Item>
        <Menu.Item hiddenFrom="xs" leftSection={isDark ? <IconSun size={16} /> : <IconMoon size={16} />} onClick={() => setColorScheme(isDark ? 'light' : 'dark')}>
          {t(isDark ? 'top.light' : 'top.dark')}
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => leave.mutate()}>{t('top.logout')}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
