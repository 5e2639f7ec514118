import { afterEach, describe, expect, test, vi } from 'vitest'
import { en } from '../i18n'
import { isSound, measuredOf, pairsOf, setSetting, SETTINGS, thresholdOf, valueOf, type Setting } from './settings'

const ALL: Setting[] = [...Object.values(SETTINGS).flat(), thresholdOf('mem')]
const [checkers] = SETTINGS.idle
const [, owners] = SETTINGS.folders

test('every setting is told in words, and its default is one that could be set', () => {
  for (const setting of ALL) {
    expect(en.settings.of).toHaveProperty(setting.name)
    expect(en.settings.of).toHaveProperty(`${setting.name}Hint`)
    if (setting.byDefault !== null) expect(isSound(setting, setting.byDefault), setting.key).toBe(true)
  }
})

test('nested values become keys, also where a key has others below it', () => {
  expect(pairsOf({ a: 'x', b: { '': 'y', c: 'z' } }, 'config')).toEqual({ 'config/a': 'x', 'config/b': 'y', 'config/b/c': 'z' })
})

test('what is set is told from what holds by default', () => {
  expect(valueOf({}, checkers)).toBeNull()
  expect(valueOf({ [checkers.key]: '' }, checkers)).toEqual([])
  expect(valueOf({ [checkers.key]: 'utilization, session_lifetime' }, checkers)).toEqual(['utilization', 'session_lifetime'])
  expect(valueOf({}, owners)).toBeNull()
  expect(valueOf({ 'volumes/_types/group': '' }, owners)).toEqual(['group'])
  expect(valueOf({ 'config/auth/signup': 'Yes' }, SETTINGS.accounts[0])).toBe('true')
})

test('what managers could not read is refused', () => {
  const bad: [Setting, string | string[]][] = [
    [SETTINGS.accounts[1], '0'], [SETTINGS.accounts[1], '1.5'], [SETTINGS.idle[3], 'soon'], [thresholdOf('mem'), '101'], [thresholdOf('mem'), ''], [owners, []], [SETTINGS.folders[0], ''],
  ]
  for (const [setting, value] of bad) expect(isSound(setting, value), `${setting.name} ${value}`).toBe(false)
  expect(isSound(SETTINGS.idle[1], '90s')).toBe(true)
})

test('each kind of accelerator is measured in two ways', () => {
  expect(measuredOf(['cpu', 'mem', 'cuda.device', 'cuda.shares', 'mock.device'])).toEqual(['cpu_util', 'mem', 'cuda_util', 'cuda_mem', 'mock_util', 'mock_mem'])
})

describe('names', () => {
  /** The pairs of a small cluster below `volumes/_types`; calls from `failing` on are refused. */
  function cluster(names: string[], failing = Infinity) {
    const kept = new Set(names)
    let calls = 0
    vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
      const { key, value } = JSON.parse(String(init.body)) as { key: string; value?: Record<string, string> }
      if (calls++ >= failing) return new Response('{"title": "Away."}', { status: 503 })
      if (path.endsWith('/set')) Object.keys(value!).forEach((name) => kept.add(name))
      if (path.endsWith('/delete')) kept.delete(key.split('/').at(-1)!)
      return new Response(JSON.stringify({ result: path.endsWith('/get') ? Object.fromEntries([...kept].map((name) => [name, ''])) : 'ok' }))
    })
    return kept
  }
  afterEach(() => vi.unstubAllGlobals())

  test('others take the place of those that were there', async () => {
    const kept = cluster(['user', 'by-hand'])
    await setSetting(owners, ['group'])
    expect([...kept]).toEqual(['group'])
  })
  test.each([0, 1, 2])('whatever call fails, the old ones are there', async (failing) => {
    const kept = cluster(['user'], failing)
    await expect(setSetting(owners, ['group'])).rejects.toMatchObject({ title: 'Away.' })
    expect(kept).toContain('user')
  })
})
