/** Background tasks of the managers: they go on when nobody looks. */
import { call } from './http'

export const cancelTask = (id: string): Promise<void> => call('DELETE', `/func/background-tasks/${encodeURIComponent(id)}`)
