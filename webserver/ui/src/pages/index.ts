/** Every page by its path; each is a chunk of its own. */
import { lazy, type ComponentType, type LazyExoticComponent } from 'react'

import { ADMIN_LOADS } from './admin'

export type Load = () => Promise<{ default: ComponentType }>

const LOADS: Record<string, Load> = {
  '/start': () => import('./start/Start'),
  ...ADMIN_LOADS,
}

export const PAGES: Record<string, LazyExoticComponent<ComponentType>> = Object.fromEntries(
  Object.entries(LOADS).map(([path, load]) => [path, lazy(load)]),
)
