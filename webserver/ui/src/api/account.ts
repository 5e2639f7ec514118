/** One's own account: name, password, second factor, keys, dotfiles, logins. */
import { ask } from './graph'
import { call } from './http'

export const setFullName = (email: string, fullName: string): Promise<void> =>
  call('POST', '/func/auth/update-full-name', { body: { email, full_name: fullName } })
/** Whether everybody else who was logged in with the old password is logged out by it. */
export async function changePassword(old: string, renewed: string, repeated: string): Promise<boolean> {
  const body = { old_password: old, new_password: renewed, new_password2: repeated }
  const answer = await call<{ warning?: string } | undefined>('POST', '/func/auth/update-password', { body })
  return !answer?.warning
}

export interface SecondFactor {
  totp_activated: boolean
  totp_activated_at: string | null
}
export const fetchSecondFactor = (): Promise<SecondFactor> => call('GET', '/func/totp')
/** The key is shown now and never again. */
export const enrolSecondFactor = (): Promise<{ totp_key: string; totp_uri: string }> => call('POST', '/func/totp', { body: {} })
export const activateSecondFactor = (otp: string): Promise<void> => call('POST', '/func/totp/verify', { body: { otp } })
export const removeSecondFactor = (otp: string): Promise<void> => call('DELETE', '/func/totp', { body: { otp } })

export interface OwnKeypair {
  access_key: string
  last_used: string | null
  rate_limit: number
}
export async function fetchOwnKeypair(): Promise<OwnKeypair> {
  return (await ask<{ keypair: OwnKeypair }>('{ keypair { access_key last_used rate_limit } }')).keypair
}

export async function fetchSshKey(): Promise<string> {
  return (await call<{ ssh_public_key: string }>('GET', '/func/auth/ssh-keypair')).ssh_public_key
}
/** The private half comes now and never again. */
export const makeSshKey = (): Promise<{ ssh_public_key: string; ssh_private_key: string }> => call('PATCH', '/func/auth/ssh-keypair')

export interface Dotfile {
  path: string
  /** Octal, such as "644". */
  permission: string
  data: string
}
export const listDotfiles = (): Promise<Dotfile[]> => call('GET', '/func/user-config/dotfiles')
export const addDotfile = (body: Dotfile): Promise<void> => call('POST', '/func/user-config/dotfiles', { body })
export const replaceDotfile = (body: Dotfile): Promise<void> => call('PATCH', '/func/user-config/dotfiles', { body })
export const deleteDotfile = (path: string): Promise<void> => call('DELETE', '/func/user-config/dotfiles', { query: { path } })
export const fetchBootstrap = (): Promise<string> => call('GET', '/func/user-config/bootstrap-script')
export const setBootstrap = (script: string): Promise<void> => call('POST', '/func/user-config/bootstrap-script', { body: { script } })

export interface Login {
  id: string
  is_current: boolean
  created_at: string
  expires_at: string
  address: string
  agent: string
}
export async function listLogins(): Promise<Login[]> {
  return (await call<{ items: Login[] }>('GET', '/server/sessions')).items
}
export const endLogin = (id: string): Promise<void> => call('DELETE', `/server/sessions/${encodeURIComponent(id)}`)
export const endOtherLogins = (): Promise<void> => call('DELETE', '/server/sessions')
