/** Every page by its path; each is a chunk of its own. */
import { lazy, type ComponentType, type LazyExoticComponent } from 'react'

type Load = () => Promise<{ default: ComponentType }>

const LOADS: Record<string, Load> = {
  '/start': () => import('./start/Start'),
}

export const PAGES: Record<string, LazyExoticComponent<ComponentType>> = Object.fromEntries(
  Object.entries(LOADS).map(([path, load]) => [path, lazy(load)]),
)
