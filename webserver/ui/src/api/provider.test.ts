import { expect, test } from 'vitest'
import { providerOf, refusalOf, wayTo, withoutRefusal } from './provider'

test('a provider is told by two keys, with any name', () => {
  const toml = '[general]\napiEndpoint = "http://x"\noidcLogin = "/server/oidc/login"\noidcName = "Kim \\"&\\" Lee"\n'
  expect(providerOf(toml)).toEqual({ path: '/server/oidc/login', name: 'Kim "&" Lee' })
  expect(providerOf('[general]\ndebug = false\n')).toBeNull()
})

test('the way there leads back', () => {
  expect(wayTo({ name: '', path: '/server/oidc/login' }, { pathname: '/sessions', search: '?open=1&tab=logs' })).toBe('/server/oidc/login?next=%2Fsessions%3Fopen%3D1%26tab%3Dlogs')
})

test('a way back that ended outside is told once, and the rest of the address stays', () => {
  const params = new URLSearchParams('open=1&refused=web.way_expired&request=abc')
  expect(refusalOf(params)).toEqual({ code: 'web.way_expired', requestId: 'abc' })
  expect(withoutRefusal(params).toString()).toBe('open=1')
  expect(refusalOf(new URLSearchParams('open=1'))).toBeNull()
})
