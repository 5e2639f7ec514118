/** What is true of the whole cluster. */
import { call } from './http'

export interface AnnouncementText {
  enabled: boolean
  message: string
}

export function fetchAnnouncement(): Promise<AnnouncementText> {
  return call('GET', '/func/manager/announcement')
}
