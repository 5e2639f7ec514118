/** The pages of administrators by their paths. */
import type { ComponentType } from 'react'

export type Load = () => Promise<{ default: ComponentType }>

export const ADMIN_LOADS: Record<string, Load> = {
  '/users': () => import('./users/Users'),
  '/keypairs': () => import('./keypairs/Keypairs'),
  '/projects': () => import('./projects/Projects'),
  '/domains': () => import('./domains/Domains'),
  '/policies': () => import('./policies/Policies'),
  '/agents': () => import('./agents/Agents'),
  '/resource-groups': () => import('./resource-groups/ResourceGroups'),
  '/storage': () => import('./storage/Storage'),
  '/audit': () => import('./audit/Audit'),
  '/queue': () => import('./queue/Queue'),
  '/settings': () => import('./settings/Settings'),
  '/maintenance': () => import('./maintenance/Maintenance'),
}
