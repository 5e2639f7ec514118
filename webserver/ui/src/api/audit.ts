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

/** `wanted` are exact words: `email`, `action`, `target_kind`, `target_id`. */
export async function listAudit(limit: number, offset: number, wanted: Record<string, string>, signal?: AbortSignal): Promise<Page<AuditEntry>> {
  const options = { query: { limit, offset, ...wanted } }
  const { items, total_count } = await call<{ items: AuditEntry[]; total_count: number }>('GET', '/func/audit', signal ? { ...options, signal } : options)
  return { items, total: total_count }
}
