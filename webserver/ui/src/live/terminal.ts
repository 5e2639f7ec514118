/** The wire of a terminal: frames of text, and a connection that comes back by itself. */

export interface TerminalHandlers {
  onOutput: (bytes: Uint8Array) => void
  onError: (message: string) => void
  /** Seconds until the next try; null when it is connected. */
  onState: (state: 'connecting' | 'connected' | { retryIn: number }) => void
}

const PING_MILLISECONDS = 15_000
const SILENT_MILLISECONDS = 40_000
const WAITS_SECONDS = [1, 2, 4, 8, 15]

export class TerminalWire {
  private socket: WebSocket | null = null
  private tries = 0
  private retry: ReturnType<typeof setTimeout> | undefined
  private pulse: ReturnType<typeof setInterval> | undefined
  private heardAt = 0
  private size = { rows: 24, cols: 80 }
  private isClosed = false

  constructor(
    private readonly url: string,
    private readonly handlers: TerminalHandlers,
  ) {}

  connect(): void {
    clearTimeout(this.retry)
    this.drop()
    window.addEventListener('offline', this.lose)
    window.addEventListener('online', this.comeBack)
    this.handlers.onState('connecting')
    const socket = new WebSocket(this.url)
    this.socket = socket
    socket.onopen = () => {
      this.tries = 0
      this.heardAt = Date.now()
      this.handlers.onState('connected')
      this.resize(this.size.rows, this.size.cols)
      this.pulse = setInterval(() => this.beat(), PING_MILLISECONDS)
    }
    socket.onmessage = ({ data }) => {
      this.heardAt = Date.now()
      this.receive(String(data))
    }
    socket.onclose = () => {
      if (socket === this.socket) this.lose()
    }
  }

  type(chars: string): void {
    this.send({ type: 'stdin', chars: toBase64(new TextEncoder().encode(chars)) })
  }

  resize(rows: number, cols: number): void {
    this.size = { rows, cols }
    this.send({ type: 'resize', rows, cols })
  }

  /** A new shell in the place of the old one. */
  restart(): void {
    this.send({ type: 'restart' })
  }

  close(): void {
    this.isClosed = true
    window.removeEventListener('offline', this.lose)
    window.removeEventListener('online', this.comeBack)
    clearTimeout(this.retry)
    this.drop()
  }

  private receive(text: string): void {
    const frame = JSON.parse(text) as { type: string; data?: string }
    if (frame.type === 'out') this.handlers.onOutput(fromBase64(frame.data ?? ''))
    else if (frame.type === 'error') this.handlers.onError(frame.data ?? '')
  }

  /** A network that went away says nothing: silence is taken for the end of it. */
  private beat(): void {
    if (Date.now() - this.heardAt > SILENT_MILLISECONDS && document.visibilityState === 'visible') this.lose()
    else this.send({ type: 'ping' })
  }

  private comeBack = (): void => {
    if (!this.isClosed && this.socket?.readyState !== WebSocket.OPEN) this.connect()
  }

  private lose = (): void => {
    clearTimeout(this.retry)
    this.drop()
    if (this.isClosed) return
    const retryIn = WAITS_SECONDS[Math.min(this.tries++, WAITS_SECONDS.length - 1)]!
    this.handlers.onState({ retryIn })
    this.retry = setTimeout(() => this.connect(), retryIn * 1000)
  }

  private drop(): void {
    clearInterval(this.pulse)
    const socket = this.socket
    this.socket = null
    socket?.close()
  }

  private send(frame: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame))
  }
}

export function toBase64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
}

export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
}
