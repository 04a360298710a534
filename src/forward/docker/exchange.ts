const requestLine = /^([A-Z]+) (\S+) HTTP\/1\.[01]\r?\n/
const statusLine = /^HTTP\/1\.[01] (\d{3})/
/** Ends an answer in chunks. */
const lastChunk = '\r\n0\r\n\r\n'
const chunkedJson = [/\r\ntransfer-encoding: chunked\r\n/i, /\r\ncontent-type: application\/json\b/i]
/** Enough for a request line with a long query, and for the head of an answer. */
const headBytes = 8192

/** The first line of a request. */
export interface Request {
  readonly method: string
  /** Path and query. */
  readonly target: string
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
  #isChunkedJson = false
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

  /** The answer is a stream of JSON, and another piece of it may follow here. */
  get extensible(): boolean {
    return this.#isInChunks && this.#tail.endsWith('\r\n')
  }

  /** A client that reads the end of the connection here misses something: an answer, or the rest of one. */
  get unfinished(): boolean {
    return this.silent || this.awaiting || this.#isInChunks
  }

  get #isInChunks(): boolean {
    return this.#state === 'answered' && this.#isChunkedJson && this.#tail !== lastChunk
  }

  /** The last request. */
  get request(): Request | undefined {
    return this.#request
  }

  fromClient(piece: Buffer): void {
    if (this.#state === 'awaiting' || this.#state === 'hijacked') return
    const [, method, target] = requestLine.exec(startOf(piece)) ?? []
    if (method !== undefined && target !== undefined) this.#request = { method, target }
    if (method !== undefined || this.silent) this.#state = 'awaiting'
  }

  fromServer(piece: Buffer): void {
    if (this.#state === 'hijacked') return
    if (this.#state !== 'answered') this.#readHead(startOf(piece))
    // Each chunk ends with a line end, and so does the head.
    this.#tail = (this.#tail + piece.toString('latin1', piece.length - lastChunk.length)).slice(-lastChunk.length)
  }

  #readHead(head: string): void {
    const status = statusLine.exec(head)?.[1]
    if (status === '100') return
    this.#state = status === '101' || isHijack(head) ? 'hijacked' : 'answered'
    // The answer to a HEAD request has a head alone.
    this.#isChunkedJson = this.#request?.method !== 'HEAD' && chunkedJson.every((header) => header.test(head))
  }
}

function startOf(piece: Buffer): string {
  return piece.toString('latin1', 0, headBytes)
}

/** Docker hands over the raw stream without an upgrade when the client did not ask for one. */
function isHijack(head: string): boolean {
  return /\r\ncontent-type: application\/vnd\.docker\.(raw|multiplexed)-stream\r\n/i.test(head)
}
