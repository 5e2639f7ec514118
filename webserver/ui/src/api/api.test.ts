import { afterEach, describe, expect, test, vi } from 'vitest'
import { changePassword } from './account'
import { listAgentIds } from './agents'
import { allOf, ask, askPage, change, contains, isOneOf } from './graph'
import { ApiError, call, onLoggedOut, pathOf } from './http'
import { outcomeOf, renewPassword } from './login'

function answer(status: number, body: unknown, headers: Record<string, string> = {}) {
  const asked = vi.fn(async (_path: string, _init: RequestInit) => new Response(body === undefined ? null : JSON.stringify(body), { status, headers }))
  vi.stubGlobal('fetch', asked)
  return asked
}
afterEach(() => vi.unstubAllGlobals())

describe('call', () => {
  test('sends JSON and reads JSON', async () => {
    const asked = answer(200, { a: 1 })
    expect(await call('POST', '/func/x', { body: { b: 2 }, query: { q: 'ä&', none: undefined } })).toEqual({ a: 1 })
    const [path, init] = asked.mock.calls[0]!
    expect(path).toBe('/func/x?q=%C3%A4%26')
    expect(init.body).toBe('{"b":2}')
  })
  test('an empty answer is nothing', async () => {
    answer(204, undefined)
    expect(await call('DELETE', '/func/x')).toBeUndefined()
  })
  test('a refusal tells title, detail, code and request', async () => {
    answer(412, { title: 'Quota.', msg: 'Too many sessions.', code: 'quota' }, { 'X-Request-Id': 'abc' })
    const refused = await call('GET', '/func/x').catch((error: unknown) => error)
    expect(refused).toMatchObject({ status: 412, title: 'Quota.', detail: 'Too many sessions.', code: 'quota', requestId: 'abc', isPassing: false })
  })
  test('a proxy that answers HTML, and no network at all, are refusals too', async () => {
    vi.stubGlobal('fetch', vi.fn(async () => new Response('<html>', { status: 502, statusText: 'Bad Gateway' })))
    expect(await call('GET', '/func/x').catch((error: unknown) => error)).toMatchObject({ status: 502, isPassing: true })
    vi.stubGlobal('fetch', vi.fn(async () => Promise.reject(new TypeError('failed'))))
    const away = await call('GET', '/func/x').catch((error: unknown) => error)
    expect(away).toBeInstanceOf(ApiError)
    expect(away).toMatchObject({ status: 0, code: 'network', isPassing: true })
  })
  test('who is not logged in is told of', async () => {
    answer(401, { title: 'No.' })
    const told = vi.fn()
    const stop = onLoggedOut(told)
    await call('GET', '/func/x').catch(() => undefined)
    stop()
    expect(told).toHaveBeenCalledOnce()
  })
  test('nulls are left out of queries', () => {
    expect(pathOf('/x', { a: null, b: false, c: 0 })).toBe('/x?b=false&c=0')
    expect(pathOf('/x', {})).toBe('/x')
  })
})

describe('graph', () => {
  test('errors beside the data are refusals', async () => {
    answer(200, { data: { a: null }, errors: [{ message: 'No.' }] })
    await expect(ask('{ a }')).rejects.toMatchObject({ title: 'No.' })
  })
  test('a mutation that is not ok is a refusal', async () => {
    answer(200, { data: { delete_x: { ok: false, msg: 'In use.' } } })
    await expect(change('mutation { delete_x { ok msg } }')).rejects.toMatchObject({ title: 'In use.' })
    answer(200, { data: { delete_x: { ok: true, msg: '' } } })
    await expect(change('mutation { delete_x { ok msg } }')).resolves.toBeUndefined()
  })
  test('a page declares what it passes', async () => {
    const asked = answer(200, { data: { agent_list: { items: [{ id: 'i' }], total_count: 7 } } })
    const list = { field: 'agent_list', fields: 'id', types: { status: 'String' } }
    expect(await askPage(list, { limit: 5, offset: 0, order: '' }, { status: 'ALIVE' })).toEqual({ items: [{ id: 'i' }], total: 7 })
    const { query, variables } = JSON.parse(String(asked.mock.calls[0]![1].body))
    expect(query).toContain('$status: String')
    expect(query).toContain('agent_list(limit: $limit, offset: $offset, filter: $filter, order: $order, status: $status)')
    expect(variables).toEqual({ limit: 5, offset: 0, filter: null, order: null, status: 'ALIVE' })
  })
  test('what people write cannot leave its quotes', () => {
    expect(contains('name', 'a"b\\')).toBe('name ilike "%a\\"b\\\\%"')
    expect(isOneOf('status', ['A', 'B'])).toBe('status in ["A", "B"]')
    expect(allOf([null, 'a', undefined, 'b'])).toBe('(a) & (b)')
    expect(allOf([])).toBeUndefined()
  })
})

test('a password that is renewed says why it is not, and takes the code along', async () => {
  const asked = answer(200, { data: { details: 'The one-time code is not right, or was used before.' }, password_changed_at: null })
  expect(await renewPassword('a', 'old', 'new', '123456')).toMatchObject({ kind: 'refused' })
  expect(JSON.parse(String(asked.mock.calls[0]![1].body))).toMatchObject({ otp: '123456' })
  answer(200, { data: null, password_changed_at: '2026-01-01T00:00:00+00:00' })
  expect(await renewPassword('a', 'old', 'new', '')).toEqual({ kind: 'in' })
})

test('the reasons of the webserver lead to the steps of the login', () => {
  expect(outcomeOf({ details: 'OTP not provided' })).toEqual({ kind: 'otp' })
  expect(outcomeOf({ details: 'Password expired on 2026-01-01' })).toEqual({ kind: 'expired' })
  expect(outcomeOf({ details: 'User credential mismatch.' })).toEqual({ kind: 'wrong' })
  expect(outcomeOf({ details: 'The account is inactive.' })).toEqual({ kind: 'refused', reason: 'The account is inactive.' })
  expect(outcomeOf(null)).toEqual({ kind: 'wrong' })
})

describe('account', () => {
  test.each([[{}, true], [undefined, true], [{ warning: 'Other logins could not be ended.' }, false]])('a changed password tells whether others are logged out', async (body, isAlone) => {
    answer(200, body)
    expect(await changePassword('a', 'b', 'b')).toBe(isAlone)
  })
})

describe('whole lists', () => {
  test('are asked for to their end', async () => {
    const ids = Array.from({ length: 2500 }, (_, number) => ({ id: `i-${number}` }))
    const asked = vi.fn(async (_path: string, init: RequestInit) => {
      const { limit, offset } = (JSON.parse(String(init.body)) as { variables: { limit: number; offset: number } }).variables
      return new Response(JSON.stringify({ data: { agent_list: { total_count: ids.length, items: ids.slice(offset, offset + limit) } } }))
    })
    vi.stubGlobal('fetch', asked)
    expect(await listAgentIds()).toEqual(ids.map(({ id }) => id))
    expect(asked).toHaveBeenCalledTimes(3)
  })
})
