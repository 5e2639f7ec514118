/** Templates of sessions: kept by the managers, shared with a project. */
import { call } from './http'

export interface Template {
  id: string
  name: string
  isOwner: boolean
  owner: string
  project: string
  content: Content
}

/** What a template says, as far as forms know it. */
export interface Content {
  spec: {
    session_type: string
    kernel: {
      image: string
      architecture?: string
      environ?: Record<string, string>
      run?: { bootstrap?: string; startup_command?: string }
      git?: { repository: string; branch?: string; commit?: string; destination_dir?: string }
    }
    scaling_group?: string
    /** Name of a folder → where it is mounted; empty is as it is called. */
    mounts?: Record<string, string | null>
    resources?: Record<string, string>
    resource_opts?: Record<string, string>
  }
}

interface Row {
  id: string
  name: string
  is_owner: boolean
  user_email: string
  group_name: string
  template: Content
}

const PATH = '/func/template/session'

export async function listTemplates(): Promise<Template[]> {
  const rows = await call<Row[]>('GET', PATH)
  return rows.map(({ id, name, is_owner, user_email, group_name, template }) => ({ id, name, isOwner: is_owner, owner: user_email, project: group_name, content: template }))
}

export const saveTemplate = (name: string, project: string, content: Content): Promise<unknown> =>
  call('POST', PATH, { body: { group_name: project, payload: JSON.stringify({ api_version: 'v1', kind: 'taskTemplate', metadata: { name }, ...content }) } })
export const deleteTemplate = (id: string): Promise<unknown> => call('DELETE', `${PATH}/${encodeURIComponent(id)}`)
