/** The audit log: who changed what. */
import type { Page } from './graph'
import { call } from './http'

export interface AuditEntry {
  id: number
  at: string
  request_id: string
  email: string
  as_email: string | null
  action: string
  target_kind: string
  target_id: string
  domain: string | null
  before: Record<string, unknown>
  after: Record<string, unknown>
}

/** What is looked for: beginnings of actions and kinds, any part of the others, and days of this browser's clock. */
export function auditQuery({ email, action, target_kind, target_id, since, until }: Record<string, string>): Record<string, string | undefined> {
  return {
    email: email && `*${email}*`,
    action: action && `${action}*`,
    target_kind: target_kind && `${target_kind}*`,
    target_id: target_id && `*${target_id}*`,
    since: since && midnight(since).toISOString(),
    until: until && midnight(until, 1).toISOString(),
  }
}

export async function listAudit(limit: number, offset: number, wanted: Record<string, string>, signal?: AbortSignal): Promise<Page<AuditEntry>> {
  const options = { query: { limit, offset, ...auditQuery(wanted) } }
  const { items, total_count } = await call<{ items: AuditEntry[]; total_count: number }>('GET', '/func/audit', signal ? { ...options, signal } : options)
  return { items, total: total_count }
}

/** With which `day` ("2026-01-31"), or the one `later` days after it, begins here. */
function midnight(day: string, later = 0): Date {
  const at = new Date(`${day}T00:00:00`)
  at.setDate(at.getDate() + later)
  return at
}
