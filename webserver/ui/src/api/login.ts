/** Logins: who is here, how to come in and how to leave. */
import { ask } from './graph'
import { call } from './http'

export type Role = 'user' | 'admin' | 'superadmin' | 'monitor'

export interface Project {
  id: string
  name: string
}

export interface Me {
  accessKey: string
  /** What apps are asked for with; empty when the webserver does not tell. */
  loginSession: string
  email: string
  username: string
  fullName: string
  role: Role
  domain: string
  projects: Project[]
  policy: string
  needsPasswordChange: boolean
}

export interface LoginData {
  access_key: string
  role: string
  status: string
}
interface LoginCheck {
  authenticated: boolean
  data: LoginData | null
  session_id: string | null
}

export type LoginOutcome =
  | { kind: 'in' }
  | { kind: 'otp' }
  | { kind: 'expired' }
  | { kind: 'wrong' }
  | { kind: 'refused'; reason: string }

const MISMATCH = /credential.* mismatch/i

const ME = `{
  user { email username full_name role domain_name need_password_change groups { id name } }
  keypair { resource_policy }
}`

interface MeAnswer {
  user: {
    email: string
    username: string
    full_name: string | null
    role: Role
    domain_name: string
    need_password_change: boolean
    groups: Project[]
  }
  keypair: { resource_policy: string }
}

/** Who is logged in, or null. */
export async function fetchMe(): Promise<Me | null> {
  const check = await call<LoginCheck>('POST', '/server/login-check', { body: {} })
  if (!check.authenticated || !check.data) return null
  const { user, keypair } = await ask<MeAnswer>(ME)
  return {
    accessKey: check.data.access_key,
    loginSession: check.session_id ?? '',
    email: user.email,
    username: user.username,
    fullName: user.full_name || user.username,
    role: user.role,
    domain: user.domain_name,
    projects: user.groups,
    policy: keypair.resource_policy,
    needsPasswordChange: user.need_password_change,
  }
}

interface LoginAnswer {
  authenticated: boolean
  data: { title?: string; details?: string } | LoginData | null
}

/** Raises `ApiError` for what is no answer to the password (locked out, manager away). */
export async function login(username: string, password: string, otp: string): Promise<LoginOutcome> {
  const body = { username, password, ...(otp ? { otp } : {}) }
  const answer = await call<LoginAnswer>('POST', '/server/login', { body })
  return answer.authenticated ? { kind: 'in' } : outcomeOf(answer.data)
}

/** The words of the webserver that the API knows for each outcome. */
export function outcomeOf(data: LoginAnswer['data']): LoginOutcome {
  const details = data && 'details' in data ? (data.details ?? '') : ''
  if (details === 'OTP not provided') return { kind: 'otp' }
  if (details.startsWith('Password expired on')) return { kind: 'expired' }
  return details && !MISMATCH.test(details) ? { kind: 'refused', reason: details } : { kind: 'wrong' }
}

export function logout(): Promise<void> {
  return call('POST', '/server/logout', { body: {} })
}

/** Sets a new password for one that has expired. A code is used up by it. */
export async function renewPassword(username: string, current: string, renewed: string, otp: string): Promise<LoginOutcome> {
  const body = { username, current_password: current, new_password: renewed, ...(otp ? { otp } : {}) }
  const { data } = await call<{ data: LoginAnswer['data'] }>('POST', '/server/update-password-no-auth', { body })
  return data ? outcomeOf(data) : { kind: 'in' }
}

export function isAdmin(role: Role): boolean {
  return role === 'admin' || role === 'superadmin'
}
