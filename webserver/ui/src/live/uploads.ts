/** Uploads that go on while pages change, stand up again after the network or a server was away, and go on where they were when the same file is
 * dropped again. */
import { Upload } from 'tus-js-client'
import { beginUpload, ticketUrl } from '../api/folders'
import { ApiError } from '../api/http'
import { noteFailure } from '../parts/failures'

export type UploadState = 'waiting' | 'running' | 'retrying' | 'paused' | 'done' | 'failed'

export interface UploadItem {
  id: number
  folder: string
  path: string
  size: number
  sent: number
  /** Bytes a second, over the last seconds. */
  rate: number
  state: UploadState
  problem: string
}

const RUNNING_MOST = 3
const CHUNK_BYTES = 32 * 2 ** 20
const RETRY_MILLISECONDS = [0, 1000, 2000, 3000, 5000, 5000, 10_000, 10_000, 15_000, 15_000, 30_000, 30_000, 60_000]
const KEPT = 'uploads'

class Uploads {
  private items: UploadItem[] = []
  private files = new Map<number, File>()
  private running = new Map<number, Upload>()
  private listeners = new Set<() => void>()
  private done = new Set<(folder: string) => void>()
  private count = 0

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }
  list = (): UploadItem[] => this.items

  /** Calls `listener` with a folder's id when one of its uploads is done. */
  onDone(listener: (folder: string) => void): () => void {
    this.done.add(listener)
    return () => this.done.delete(listener)
  }

  add(folder: string, path: string, file: File): void {
    const id = ++this.count
    this.files.set(id, file)
    this.items = [...this.items, { id, folder, path, size: file.size, sent: 0, rate: 0, state: 'waiting', problem: '' }]
    this.told()
    this.next()
  }

  pause(id: number): void {
    void this.running.get(id)?.abort()
    this.running.delete(id)
    this.put(id, { state: 'paused', rate: 0 })
    this.next()
  }

  resume(id: number): void {
    this.put(id, { state: 'waiting', problem: '' })
    this.next()
  }

  cancel(id: number): void {
    const item = this.items.find((one) => one.id === id)
    void this.running.get(id)?.abort()
    this.running.delete(id)
    if (item) forget(keyOf(item, this.files.get(id)))
    this.items = this.items.filter((one) => one.id !== id)
    this.files.delete(id)
    this.told()
    this.next()
  }

  clearDone(): void {
    this.items = this.items.filter(({ state }) => state !== 'done')
    this.told()
  }

  get isBusy(): boolean {
    return this.items.some(({ state }) => state === 'running' || state === 'waiting' || state === 'retrying')
  }

  private next(): void {
    const waiting = this.items.find(({ state }) => state === 'waiting')
    if (!waiting || this.running.size >= RUNNING_MOST) return
    void this.start(waiting)
    this.next()
  }

  private async start(item: UploadItem): Promise<void> {
    const file = this.files.get(item.id)!
    const key = keyOf(item, file)
    const kept = kepts()[key]
    this.put(item.id, { state: 'running' })
    // Holds the place while the ticket is on its way.
    this.running.set(item.id, new Upload(file, {}))
    try {
      const url = kept ?? (await this.begin(item))
      if (url === undefined) return
      keep(key, url)
      this.send(item, file, key, url, kept !== undefined)
    } catch (error) {
      this.fail(item.id, error)
    }
  }

  /** Where the bytes go: asked again while the storage host is away; undefined when the upload was given up meanwhile. */
  private async begin(item: UploadItem): Promise<string | undefined> {
    for (const pause of RETRY_MILLISECONDS.slice(1)) {
      try {
        const ticket = await beginUpload(item.folder, item.path, item.size)
        return this.running.has(item.id) ? ticketUrl(ticket) : undefined
      } catch (error) {
        if (!(error instanceof ApiError && error.isPassing)) throw error
      }
      this.put(item.id, { state: 'retrying' })
      await new Promise((resolve) => setTimeout(resolve, pause))
      if (!this.running.has(item.id)) return undefined
    }
    return ticketUrl(await beginUpload(item.folder, item.path, item.size))
  }

  private send(item: UploadItem, file: File, key: string, url: string, isKept: boolean): void {
    const meter = new Meter()
    const upload = new Upload(file, {
      uploadUrl: url,
      chunkSize: CHUNK_BYTES,
      retryDelays: RETRY_MILLISECONDS,
      storeFingerprintForResuming: false,
      onProgress: (sent) => this.put(item.id, { sent, rate: meter.rate(sent), state: 'running' }),
      onShouldRetry: (error) => {
        const status = error.originalResponse?.getStatus() ?? 0
        const isPassing = status === 0 || status === 409 || status === 423 || status === 429 || status >= 500
        if (isPassing) this.put(item.id, { state: 'retrying', rate: 0 })
        return isPassing
      },
      onSuccess: () => {
        forget(key)
        this.running.delete(item.id)
        this.put(item.id, { state: 'done', sent: item.size })
        this.done.forEach((listener) => listener(item.folder))
        this.next()
      },
      onError: (error) => {
        // A ticket of an earlier day is no longer good: the file begins anew.
        if (isKept) {
          forget(key)
          this.running.delete(item.id)
          this.put(item.id, { state: 'waiting' })
          return this.next()
        }
        this.fail(item.id, error)
      },
    })
    this.running.set(item.id, upload)
    upload.start()
  }

  private fail(id: number, error: unknown): void {
    noteFailure(error)
    this.running.delete(id)
    this.put(id, { state: 'failed', rate: 0, problem: error instanceof Error ? error.message : String(error) })
    this.next()
  }

  private put(id: number, change: Partial<UploadItem>): void {
    this.items = this.items.map((item) => (item.id === id ? { ...item, ...change } : item))
    this.told()
  }

  private told(): void {
    this.listeners.forEach((listener) => listener())
  }
}

class Meter {
  private marks: [at: number, sent: number][] = []

  rate(sent: number): number {
    const now = performance.now()
    this.marks = [...this.marks.filter(([at]) => now - at < 4000), [now, sent]]
    const [first] = this.marks
    return first && now > first[0] ? ((sent - first[1]) / (now - first[0])) * 1000 : 0
  }
}

/** What is the same of one file dropped twice into the same place. */
function keyOf(item: UploadItem, file: File | undefined): string {
  return [item.folder, item.path, item.size, file?.lastModified].join('|')
}
function kepts(): Record<string, string> {
  return JSON.parse(localStorage.getItem(KEPT) ?? '{}') as Record<string, string>
}
function keep(key: string, url: string): void {
  localStorage.setItem(KEPT, JSON.stringify({ ...kepts(), [key]: url }))
}
function forget(key: string): void {
  const { [key]: _, ...others } = kepts()
  localStorage.setItem(KEPT, JSON.stringify(others))
}

export const uploads = new Uploads()

window.addEventListener('beforeunload', (event) => {
  if (uploads.isBusy) event.preventDefault()
})
