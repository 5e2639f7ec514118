/** What operators are told of: what is wrong now, what was, and whether they hear it. */
import { call } from './http'

export interface Alert {
  id: string
  kind: 'agent_lost' | 'disk_near_full' | 'idle_accelerator' | 'quota_near'
  subject: string
  detail: string
  began_at: string
  ended_at: string | null
}
/** Newest first. */
export async function fetchAlerts(withEnded: boolean): Promise<Alert[]> {
  return (await call<{ items: Alert[] }>('GET', '/func/alerts', { query: { with_ended: withEnded, limit: 100 } })).items
}

/** `problem` is empty where it was heard. */
export interface Target {
  target: string
  problem: string
}
export async function testAlerts(): Promise<Target[]> {
  return (await call<{ targets: Target[] }>('POST', '/func/alerts/test', { body: {} })).targets
}
