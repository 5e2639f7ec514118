/** Every page by its path; each is a chunk of its own. */
import { lazy, type ComponentType, type LazyExoticComponent } from 'react'
import { ADMIN_LOADS, type Load } from './admin'

const LOADS: Record<string, Load> = {
  '/start': () => import('./start/Start'),
  '/dashboard': () => import('./dashboard/Dashboard'),
  '/launch': () => import('./launch/Launch'),
  '/folders': () => import('./folders/Folders'),
  '/folders/:folder': () => import('./folders/Explorer'),
  '/me': () => import('./me/MySettings'),
  '/usage': () => import('./usage/Usage'),
  '/sessions': () => import('./sessions/Sessions'),
  '/environments': () => import('./environments/Environments'),
}

const BARE_LOADS: Record<string, Load> = {
  '/terminal/:session': () => import('./terminal/Terminal'),
}

export type Pages = Record<string, LazyExoticComponent<ComponentType>>

/** In the shell, with menu and top bar. */
export const PAGES: Pages = lazily({ ...LOADS, ...ADMIN_LOADS })
/** These fill the window. */
export const BARE_PAGES: Pages = lazily(BARE_LOADS)

const AGAIN_AFTER_MS = 1000

function lazily(loads: Record<string, Load>): Pages {
  return Object.fromEntries(
    Object.entries(loads).map(([path, load]) => [path, lazy(() => load().catch(() => again(load)))]),
  )
}

/** A network that changed, or a webserver that was restarted, is there again a moment later. */
async function again(load: Load): Promise<Awaited<ReturnType<Load>>> {
  await new Promise((resume) => setTimeout(resume, AGAIN_AFTER_MS))
  return load()
}
