const requestLine = /^([A-Z]+) (\S+) HTTP\/1\.[01]\r?\n/
const statusLine = /^HTTP\/1\.[01] (\d{3})/
/** Ends an answer in chunks. */
const lastChunk = '\r\n0\r\n\r\n'
const chunked = /\r\ntransfer-encoding: chunked\r\n/i
const json = /\r\ncontent-type: application\/json\b/i
const multiplexed = /\r\ncontent-type: application\/vnd\.docker\.multiplexed-stream\r\n/i
const terminal = /"Tty":\s*true/
/** Before 1.42 the API tells no difference between what is in frames and what is not. */
const raw = /\r\ncontent-type: application\/vnd\.docker\.raw-stream\r\n/i
const execStart = /\/exec\/[^/]+\/start$/
const headEnd = '\r\n\r\n'
/** Enough for a request line with a long query, and for the head of an answer. */
const headBytes = 8192

/** The first line of a request. */
export interface Request {
  readonly method: string
  /** Path and query. */
  readonly target: string
  /** Whether its body, as far as it came with it, asks for a terminal, whose output has no frames. */
  readonly tty: boolean
}

/**
 * What is known of the HTTP exchange on one connection, learned from both ends of each piece that passes: whether the
 * client waits for an answer that has not begun, or for more of one that has. Only there may words of ours go into the
 * stream.
 *
 * Full parsing would cost time on every byte. A request starts a piece, because HTTP clients do not send the next one before
 * the answer to the last; and a body that has a request line at the start of a piece gets, at worst, an error text at the
 * end of a stream that is broken anyway.
 */
export class Exchange {
  #request: Request | undefined
  #state: 'silent' | 'awaiting' | 'answered' | 'hijacked' = 'silent'
  /** An answer in chunks, of which each is a piece of JSON or a frame as a whole. */
  #hasPieces = false
  /** Of a connection that was handed over; its head, of which dockerd writes a part at a time, before it is whole. */
  #frames: Frames | Buffer | undefined
  /** The end of what came from the server, as long as the last chunk: that may come in pieces. */
  #tail = ''

  /** The client has not sent anything yet. */
  get silent(): boolean {
    return this.#state === 'silent'
  }

  /** The client has sent a request, or a part of it, and not a byte of the answer has come. */
  get awaiting(): boolean {
    return this.#state === 'awaiting'
  }

  /** What may follow here in an answer that is a stream of JSON or of frames: a chunk, or the bytes of a frame. */
  get extensible(): 'chunk' | 'bytes' | undefined {
    if (this.#isInChunks) return this.#tail.endsWith('\r\n') ? 'chunk' : undefined
    return this.#frames instanceof Frames && this.#frames.isBetween ? 'bytes' : undefined
  }

  /** A client that reads the end of the connection here misses something: an answer, or the rest of one. */
  get unfinished(): boolean {
    return this.silent || this.awaiting || this.#isInChunks
  }

  get #isInChunks(): boolean {
    return this.#state === 'answered' && this.#hasPieces && this.#tail !== lastChunk
  }

  /** The last request. */
  get request(): Request | undefined {
    return this.#request
  }

  fromClient(piece: Buffer): void {
    if (this.#state === 'awaiting' || this.#state === 'hijacked') return
    const [, method, target] = requestLine.exec(startOf(piece)) ?? []
    if (method !== undefined && target !== undefined)
      this.#request = { method, target, tty: terminal.test(startOf(piece)) }
    if (method !== undefined || this.silent) this.#state = 'awaiting'
  }

  fromServer(piece: Buffer): void {
    if (this.#state === 'hijacked') {
      this.#follow(piece)
      return
    }
    if (this.#state !== 'answered') this.#readHead(piece)
    // Each chunk ends with a line end, and so does the head.
    this.#tail = (this.#tail + piece.toString('latin1', piece.length - lastChunk.length)).slice(-lastChunk.length)
  }

  #readHead(piece: Buffer): void {
    const head = startOf(piece)
    const status = statusLine.exec(head)?.[1]
    if (status === '100') return
    const isChunked = chunked.test(head)
    this.#state = status === '101' || (isHijack(head) && !isChunked) ? 'hijacked' : 'answered'
    // The answer to a HEAD request has a head alone.
    this.#hasPieces = this.#request?.method !== 'HEAD' && isChunked && (json.test(head) || multiplexed.test(head))
    if (this.#state !== 'hijacked') return
    this.#frames = Buffer.alloc(0)
    this.#follow(piece)
  }

  #follow(piece: Buffer): void {
    if (this.#frames instanceof Frames) this.#frames.take(piece)
    if (!(this.#frames instanceof Buffer)) return
    const read = Buffer.concat([this.#frames, piece])
    const end = read.indexOf(headEnd)
    if (end < 0) {
      this.#frames = read.length < headBytes ? read : undefined
      return
    }
    const head = read.toString('latin1', 0, end + headEnd.length)
    this.#frames = multiplexed.test(head) || this.#isExecInFrames(head) ? new Frames() : undefined
    this.#frames?.take(read.subarray(end + headEnd.length))
  }

  #isExecInFrames(head: string): boolean {
    return raw.test(head) && this.#request?.tty === false && execStart.test(this.#request.target)
  }
}

/** Bytes that a frame begins with: the stream that it is of, three that are 0, and its length (api/docs, "Stream format"). */
const frameHeadBytes = 8

/** Where in its frames a stream is of several outputs. */
class Frames {
  #head = Buffer.alloc(0)
  #left = 0

  /** Another frame may follow here. */
  get isBetween(): boolean {
    return this.#left === 0 && this.#head.length === 0
  }

  take(piece: Buffer): void {
    let rest = piece
    while (rest.length > 0) {
      if (this.#left === 0) {
        const missing = frameHeadBytes - this.#head.length
        this.#head = Buffer.concat([this.#head, rest.subarray(0, missing)])
        rest = rest.subarray(missing)
        if (this.#head.length < frameHeadBytes) return
        this.#left = this.#head.readUInt32BE(4)
        this.#head = Buffer.alloc(0)
      }
      const taken = Math.min(this.#left, rest.length)
      this.#left -= taken
      rest = rest.subarray(taken)
    }
  }
}

function startOf(piece: Buffer): string {
  return piece.toString('latin1', 0, headBytes)
}

/** Docker hands over the raw stream without an upgrade when the client did not ask for one. */
function isHijack(head: string): boolean {
  return raw.test(head) || multiplexed.test(head)
}
