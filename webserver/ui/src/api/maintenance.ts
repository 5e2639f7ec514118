/** The managers: whether they take sessions, how they are, and what they say to everybody. */
import { call } from './http'

export interface ManagerStatus {
  status: 'running' | 'frozen'
  active_sessions: number
  nodes: { id: string; version: string; service_addr: string; heartbeat: string }[]
}
export const fetchManagerStatus = (): Promise<ManagerStatus> => call('GET', '/func/manager/status')
/** `force` ends what runs, too. */
export const setManagerStatus = (status: ManagerStatus['status'], force = false): Promise<void> =>
  call('PUT', '/func/manager/status', { body: { status, force_kill: force } })

export interface Loop {
  loop: string
  healthy: boolean
  failures: number
  fault: string
  period_seconds: number
}
export async function fetchLoops(): Promise<Loop[]> {
  return Object.values(await call<Record<string, Loop[]>>('GET', '/func/manager/scheduler/status')).flat()
}
export const setAnnouncement = (enabled: boolean, message: string): Promise<void> =>
  call('POST', '/func/manager/announcement', { body: { enabled, message } })
export const recalculateUsage = (): Promise<void> => call('POST', '/func/resource/recalculate-usage', { body: {} })
