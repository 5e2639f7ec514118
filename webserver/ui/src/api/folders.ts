/** Folders, their files, and who else may use them. Folders are named by id, so that names may repeat. */
import { ask } from './graph'
import { call } from './http'

export type Permission = 'ro' | 'rw' | 'wd'
export type FolderStatus = 'ready' | 'cloning' | 'delete-pending' | 'delete-ongoing' | 'delete-error' | 'error'

export interface Folder {
  id: string
  name: string
  host: string
  status: FolderStatus
  usage_mode: 'general' | 'model' | 'data'
  permission: Permission
  ownership_type: 'user' | 'group'
  is_owner: boolean
  user_email: string | null
  group_name: string | null
  creator: string
  created_at: string
  cloneable: boolean
  quota_scope_id: string
}

export interface FolderInfo extends Folder {
  num_files: number | null
  used_bytes: number | null
  last_used: string | null
}

export interface FileEntry {
  name: string
  type: 'FILE' | 'DIRECTORY' | 'SYMLINK' | string
  size: number
  mode: string
  created: string
  modified: string
}

export interface Invitation {
  id: string
  inviter: string
  invitee: string
  perm: Permission
  created_at: string
  vfolder_id: string
  vfolder_name: string
}

export interface Share {
  vfolder_id: string
  shared_to: { uuid: string; email: string }
  perm: Permission
}

export interface Hosts {
  default: string | null
  allowed: string[]
  volume_info: Record<string, { backend: string; capabilities: string[]; usage: { percentage: number | null } }>
}

export interface Ticket {
  token: string
  url: string
}

export interface NewFolder {
  name: string
  host?: string
  group?: string
  usage_mode: string
  permission: string
  cloneable: boolean
}

const of = (id: string, what = '') => `/func/folders/${encodeURIComponent(id)}${what}`

/** All that somebody may use in a project, those in the bin too. */
export function listFolders(projectId?: string): Promise<Folder[]> {
  return call('GET', '/func/folders', { query: { group_id: projectId } })
}

export const fetchFolder = (id: string): Promise<FolderInfo> => call('GET', of(id))
export const createFolder = (body: NewFolder): Promise<Folder> => call('POST', '/func/folders', { body })
export const renameFolder = (id: string, name: string): Promise<void> => call('POST', of(id, '/rename'), { body: { new_name: name } })
/** Puts it in the bin. */
export const deleteFolder = (id: string): Promise<void> => call('DELETE', '/func/folders', { body: { id } })
export const restoreFolder = (id: string): Promise<void> => call('POST', '/func/folders/restore-from-trash-bin', { body: { id } })
/** For ever. */
export const purgeFolder = (id: string): Promise<void> => call('POST', '/func/folders/delete-from-trash-bin', { body: { id } })
export const leaveFolder = (id: string): Promise<void> => call('POST', of(id, '/leave'), { body: {} })
export const cloneFolder = (id: string, name: string): Promise<void> => call('POST', of(id, '/clone'), { body: { target_name: name } })
export const fetchHosts = (projectId?: string): Promise<Hosts> => call('GET', '/func/folders/_/hosts', { query: { group_id: projectId } })

export async function listFiles(id: string, path: string, signal?: AbortSignal): Promise<FileEntry[]> {
  const answer = await call<{ items: FileEntry[] }>('GET', of(id, '/files'), { query: { path: path || '.' }, ...(signal && { signal }) })
  return answer.items
}

/** With all above them; those that exist are fine. */
export const makeDirectories = (id: string, paths: string[]): Promise<void> =>
  call('POST', of(id, '/mkdir'), { body: { path: paths, parents: true, exist_ok: true } })
export const renameFile = (id: string, path: string, name: string): Promise<void> =>
  call('POST', of(id, '/rename-file'), { body: { target_path: path, new_name: name } })
export const deleteFiles = (id: string, files: string[]): Promise<void> =>
  call('DELETE', of(id, '/delete-files'), { body: { files, recursive: true } })
export const beginUpload = (id: string, path: string, size: number): Promise<Ticket> =>
  call('POST', of(id, '/request-upload'), { body: { path, size } })
export const beginDownload = (id: string, path: string, archive: boolean): Promise<Ticket> =>
  call('POST', of(id, '/request-download'), { body: { path, archive } })

/** Where the bytes of a ticket are. */
export function ticketUrl({ url, token }: Ticket): string {
  const target = new URL(url, window.location.href)
  target.searchParams.set('token', token)
  return target.href
}

export async function listInvitations(): Promise<Invitation[]> {
  return (await call<{ invitations: Invitation[] }>('GET', '/func/folders/invitations/list')).invitations
}
export async function listShares(id: string): Promise<Share[]> {
  return (await call<{ shared: Share[] }>('GET', '/func/folders/_/shared', { query: { vfolder_id: id } })).shared
}
export const acceptInvitation = (id: string): Promise<void> => call('POST', '/func/folders/invitations/accept', { body: { inv_id: id } })
export const declineInvitation = (id: string): Promise<void> => call('DELETE', '/func/folders/invitations/delete', { body: { inv_id: id } })
export const invite = (id: string, emails: string[], perm: Permission): Promise<void> => call('POST', of(id, '/invite'), { body: { emails, perm } })
/** Null takes the share away. */
export const setShare = (id: string, user: string, perm: Permission | null): Promise<void> =>
  call('POST', '/func/folders/_/shared', { body: { vfolder: id, user, ...(perm && { perm }) } })

export interface QuotaScope {
  usage: number
  /** Null is no limit. */
  limit: number | null
}

/** What the folders of one scope on one host hold, and may. */
export async function fetchQuota(host: string, scope: string): Promise<QuotaScope> {
  const query = `query($host: String!, $scope: String!) {
    quota_scope(storage_host_name: $host, quota_scope_id: $scope) { details { usage_bytes hard_limit_bytes } }
  }`
  const { quota_scope: found } = await ask<{ quota_scope: { details: { usage_bytes: number | null; hard_limit_bytes: number | null } } | null }>(
    query, { host, scope },
  )
  return { usage: Number(found?.details.usage_bytes ?? 0), limit: found?.details.hard_limit_bytes ?? null }
}
