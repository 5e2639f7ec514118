/** The window: menu, top bar, and the page between them. */
import { AppShell, Burger, Center, Group, Loader, NavLink, ScrollArea, Text, UnstyledButton } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { Suspense, useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, Outlet, useLocation } from 'react-router'
import { PAGES } from '../pages'
import { Announcement } from './Announcement'
import { useHere } from './me'
import { menuOf } from './menu'
import { Palette } from './Palette'
import { TopBar } from './TopBar'
import { UploadPanel } from './UploadPanel'

const PATHS = new Set(Object.keys(PAGES))

export function Shell() {
  const [isOpen, { toggle, close }] = useDisclosure()
  const { pathname } = useLocation()
  const { t } = useTranslation()
  useEffect(close, [pathname, close])
  return (
    <AppShell header={{ height: 56 }} navbar={{ width: 232, breakpoint: 'sm', collapsed: { mobile: !isOpen } }} padding={{ base: 'sm', sm: 'lg' }}>
      <AppShell.Header>
        <Group h="100%" px="md" gap="sm" wrap="nowrap">
          <Burger opened={isOpen} onClick={toggle} hiddenFrom="sm" size="sm" aria-label={t('menu.open')} />
          <UnstyledButton component={Link} to="/start" aria-label="Backend.AI">
            <Group gap={8} wrap="nowrap">
              <img src="/favicon.svg" alt="" width={26} height={26} />
              <Text fw={700} visibleFrom="xs">Backend.AI</Text>
            </Group>
          </UnstyledButton>
          <TopBar />
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label={t('menu.name')}>
        <ScrollArea type="auto"><Menu /></ScrollArea>
      </AppShell.Navbar>
      <AppShell.Main className="shell-main">
        <Announcement />
        <Suspense fallback={<Center h={240}><Loader aria-label="…" /></Center>}><Outlet /></Suspense>
      </AppShell.Main>
      <Palette />
      <UploadPanel />
    </AppShell>
  )
}

function Menu() {
  const { t } = useTranslation()
  const { me } = useHere()
  const { pathname } = useLocation()
  return menuOf(me.role, PATHS).map(({ title, entries }) => (
    <div key={title ?? ''}>
      {title && <Text size="xs" fw={600} c="dimmed" px="sm" pt="md" pb={4}>{t(title)}</Text>}
      {entries.map(({ path, title: name, icon: Picture }) => (
        <NavLink
          key={path} component={Link} to={path} label={t(name)} leftSection={<Picture size={18} stroke={1.6} />} className="menu-link"
          active={pathname === path || pathname.startsWith(`${path}/`)} aria-current={pathname === path ? 'page' : undefined}
        />
      ))}
    </div>
  ))
}
