/** Another site that people may log in at, as the webserver's configuration for pages tells. */
import { callRaw } from './http'

export interface Provider {
  name: string
  /** Where the way there begins. */
  path: string
}

/** Null where there is none. */
export async function fetchProvider(): Promise<Provider | null> {
  return providerOf(await (await callRaw('GET', '/config.toml')).text())
}

export function providerOf(toml: string): Provider | null {
  const path = wordOf(toml, 'oidcLogin')
  return path ? { path, name: wordOf(toml, 'oidcName') } : null
}

/** The text of a key: strings of TOML on one line are those of JSON. */
function wordOf(toml: string, key: string): string {
  const line = new RegExp(`^${key} = (".*")$`, 'm').exec(toml)
  return line ? (JSON.parse(line[1]!) as string) : ''
}

// The webserver takes no longer ones.
const CHARS_MAX = 1000

/** Back to where somebody is now. */
export function wayTo({ path }: Provider, here: { pathname: string; search: string }): string {
  const next = here.pathname + here.search
  return `${path}?${new URLSearchParams({ next: next.length > CHARS_MAX ? here.pathname : next })}`
}

/** What a way back from there tells that has ended outside: a code, and where administrators find it. */
export interface Refusal {
  code: string
  requestId: string
}

const TOLD = ['refused', 'request']

/** Null for who comes here on another way. */
export function refusalOf(params: URLSearchParams): Refusal | null {
  const code = params.get('refused')
  return code ? { code, requestId: params.get('request') ?? '' } : null
}

/** The address without it: a reload, and the way there again, know nothing of it. */
export function withoutRefusal(params: URLSearchParams): URLSearchParams {
  return new URLSearchParams([...params].filter(([name]) => !TOLD.includes(name)))
}
