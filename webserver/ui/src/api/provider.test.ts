import { expect, test } from 'vitest'
import { providerOf, wayTo } from './provider'

test('a provider is told by two keys, with any name', () => {
  const toml = '[general]\napiEndpoint = "http://x"\noidcLogin = "/server/oidc/login"\noidcName = "Kim \\"&\\" Lee"\n'
  expect(providerOf(toml)).toEqual({ path: '/server/oidc/login', name: 'Kim "&" Lee' })
  expect(providerOf('[general]\ndebug = false\n')).toBeNull()
})

test('the way there leads back', () => {
  expect(wayTo({ name: '', path: '/server/oidc/login' }, { pathname: '/sessions', search: '?open=1&tab=logs' })).toBe('/server/oidc/login?next=%2Fsessions%3Fopen%3D1%26tab%3Dlogs')
})
