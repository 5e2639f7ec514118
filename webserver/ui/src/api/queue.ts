/** The sessions that wait, in the order in which the scheduler looks at them. */
import { change, type Page } from './graph'
import { listSessions, type Session } from './sessions'

/** A session that waits, with its place in the queue of its resource group. */
export type Waiting = Session & { position: number }

const WAITING_MAX = 100

export async function listQueue(signal?: AbortSignal): Promise<Page<Waiting>> {
  const { items, total } = await listSessions({ limit: WAITING_MAX, offset: 0, order: '-priority,created_at' }, ['PENDING'], {}, signal)
  return { items: withPositions(items), total }
}

/** Counted in each resource group from 1. */
export function withPositions(sessions: Session[]): Waiting[] {
  const counts: Record<string, number> = {}
  return sessions.map((session) => ({ ...session, position: (counts[session.scalingGroup] = (counts[session.scalingGroup] ?? 0) + 1) }))
}

export const setPriority = (id: string, priority: number): Promise<unknown> =>
  change('mutation($input: ModifyComputeSessionInput!) { modify_compute_session(input: $input) { item { id } } }', { input: { id, priority } })
