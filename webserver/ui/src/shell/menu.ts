/** The pages in the menu: their names, their groups, and who sees them. */
import {
  IconBox, IconBuilding, IconChartBar, IconClipboardList, IconCpu, IconDatabase, IconFolder, IconGauge, IconHome, IconHourglass, IconKey,
  IconRocket, IconServer, IconSettings, IconShieldCheck, IconTerminal2, IconTool, IconUsers, IconUsersGroup, type Icon,
} from '@tabler/icons-react'
import type { ParseKeys } from 'i18next'
import type { Role } from '../api/login'

export interface Entry {
  path: string
  title: ParseKeys
  icon: Icon
}
export interface Group {
  title: ParseKeys | null
  roles: readonly Role[]
  entries: Entry[]
}

const ALL: readonly Role[] = ['user', 'admin', 'superadmin', 'monitor']
const ADMINS: readonly Role[] = ['admin', 'superadmin']
const SUPERADMINS: readonly Role[] = ['superadmin']

export const MENU: Group[] = [
  {
    title: null,
    roles: ALL,
    entries: [
      { path: '/start', title: 'start.title', icon: IconHome },
      { path: '/dashboard', title: 'dashboard.title', icon: IconGauge },
    ],
  },
  {
    title: 'menu.work',
    roles: ALL,
    entries: [
      { path: '/sessions', title: 'sessions.title', icon: IconTerminal2 },
      { path: '/launch', title: 'launch.title', icon: IconRocket },
      { path: '/folders', title: 'folders.title', icon: IconFolder },
      { path: '/environments', title: 'environments.title', icon: IconBox },
      { path: '/usage', title: 'usage.title', icon: IconChartBar },
    ],
  },
  {
    title: 'menu.administration',
    roles: ADMINS,
    entries: [
      { path: '/queue', title: 'queue.title', icon: IconHourglass },
      { path: '/users', title: 'users.title', icon: IconUsers },
      { path: '/keypairs', title: 'keypairs.title', icon: IconKey },
      { path: '/projects', title: 'projects.title', icon: IconUsersGroup },
      { path: '/audit', title: 'audit.title', icon: IconClipboardList },
    ],
  },
  {
    title: 'menu.cluster',
    roles: SUPERADMINS,
    entries: [
      { path: '/agents', title: 'agents.title', icon: IconServer },
      { path: '/resource-groups', title: 'resourceGroups.title', icon: IconCpu },
      { path: '/storage', title: 'storage.title', icon: IconDatabase },
      { path: '/policies', title: 'policies.title', icon: IconShieldCheck },
      { path: '/domains', title: 'domains.title', icon: IconBuilding },
      { path: '/settings', title: 'settings.title', icon: IconSettings },
      { path: '/maintenance', title: 'maintenance.title', icon: IconTool },
    ],
  },
]

/** The groups of a role, with only those pages that exist. */
export function menuOf(role: Role, paths: ReadonlySet<string>): Group[] {
  return MENU.filter(({ roles }) => roles.includes(role))
    .map((group) => ({ ...group, entries: group.entries.filter(({ path }) => paths.has(path)) }))
    .filter(({ entries }) => entries.length)
}
