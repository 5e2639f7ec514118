/** Accounts of others, and the keypairs that they call with. */
import { ask, askPage, change, type ListName, type Page, type PageAsk } from './graph'
import type { Role } from './login'

export const USER_STATUSES = ['active', 'inactive', 'before-verification', 'deleted'] as const
export const ROLES: readonly Role[] = ['user', 'admin', 'superadmin', 'monitor']

export interface User {
  uuid: string
  email: string
  username: string
  full_name: string | null
  description: string | null
  status: (typeof USER_STATUSES)[number]
  role: Role
  domain_name: string
  resource_policy: string
  created_at: string
  need_password_change: boolean
  totp_activated: boolean
  allowed_client_ip: string[] | null
  main_access_key: string | null
  groups: { id: string; name: string }[]
}

const USER = `uuid email username full_name description status role domain_name resource_policy created_at need_password_change
  totp_activated allowed_client_ip main_access_key groups { id name }`
const USERS: ListName = { field: 'user_list', fields: USER, types: { domain_name: 'String' } }

export async function listUsers(page: PageAsk, signal?: AbortSignal): Promise<Page<User>> {
  const found = await askPage<User>(USERS, page, { domain_name: null }, signal)
  return { ...found, items: found.items.map((user) => ({ ...user, groups: user.groups ?? [] })) }
}

export interface UserChange {
  username: string
  full_name: string
  description: string
  status: string
  role: string
  domain_name: string
  group_ids: string[]
  resource_policy: string
  need_password_change: boolean
  allowed_client_ip: string[] | null
}
export interface NewUser extends UserChange {
  email: string
  password: string
}

export const createUser = ({ email, ...props }: NewUser): Promise<void> =>
  change('mutation($email: String!, $props: UserInput!) { create_user(email: $email, props: $props) { ok msg } }', { email, props })
export const modifyUser = (email: string, props: Partial<UserChange> & { password?: string }): Promise<void> =>
  change('mutation($email: String!, $props: ModifyUserInput!) { modify_user(email: $email, props: $props) { ok msg } }', { email, props })
export const purgeUser = (email: string, withShared: boolean): Promise<void> =>
  change('mutation($email: String!, $props: PurgeUserInput!) { purge_user(email: $email, props: $props) { ok msg } }', {
    email,
    props: { purge_shared_vfolders: withShared },
  })

export interface Keypair {
  access_key: string
  user_id: string
  full_name: string | null
  is_active: boolean
  is_admin: boolean
  resource_policy: string
  rate_limit: number
  num_queries: number
  concurrency_used: number
  created_at: string
  last_used: string | null
}

const KEYPAIR = 'access_key user_id full_name is_active is_admin resource_policy rate_limit num_queries concurrency_used created_at last_used'
const KEYPAIRS: ListName = { field: 'keypair_list', fields: KEYPAIR, types: { email: 'String', is_active: 'Boolean' } }

export function listKeypairs(page: PageAsk, whose: { email?: string; is_active?: boolean }, signal?: AbortSignal): Promise<Page<Keypair>> {
  return askPage<Keypair>(KEYPAIRS, page, { email: null, is_active: null, ...whose }, signal)
}

export interface KeypairChange {
  is_active: boolean
  is_admin: boolean
  resource_policy: string
  rate_limit: number
}
export interface KeypairSecret {
  access_key: string
  secret_key: string
}

/** The secret key comes now and never again. */
export async function createKeypair(email: string, props: KeypairChange): Promise<KeypairSecret> {
  const query = `mutation($email: String!, $props: KeyPairInput!) {
    create_keypair(user_id: $email, props: $props) { ok msg keypair { access_key secret_key } } }`
  return (await ask<{ create_keypair: { keypair: KeypairSecret } }>(query, { email, props })).create_keypair.keypair
}
export const modifyKeypair = (key: string, props: Partial<KeypairChange>): Promise<void> =>
  change('mutation($key: String!, $props: ModifyKeyPairInput!) { modify_keypair(access_key: $key, props: $props) { ok msg } }', { key, props })
export const deleteKeypair = (key: string): Promise<void> =>
  change('mutation($key: String!) { delete_keypair(access_key: $key) { ok msg } }', { key })
