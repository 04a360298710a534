const requestLine = /^([A-Z]+) \S+ HTTP\/1\.[01]\r?\n/
const statusLine = /^HTTP\/1\.[01] (\d{3})/
/** Enough for a request line with a long query, and for the head of an answer. */
const headBytes = 8192

/**
 * What is known of the HTTP exchange on one connection, learned from the first bytes of each chunk: whether the client
 * waits for an answer that has not begun. Only then may an error be put into the stream.
 *
 * Full parsing would cost time on every byte. A request starts a chunk, because HTTP clients do not send the next one before
 * the answer to the last; and a body that has a request line at the start of a chunk gets, at worst, an error text at the
 * end of a stream that is broken anyway.
 */
export class Exchange {
  #method: string | undefined
  #state: 'silent' | 'awaiting' | 'answered' | 'hijacked' = 'silent'

  /** The client has sent a request, or a part of it, and not a byte of the answer has come. */
  get awaiting(): boolean {
    return this.#state === 'awaiting'
  }

  /** The client has not sent anything yet. */
  get silent(): boolean {
    return this.#state === 'silent'
  }

  /** Method of the last request. */
  get method(): string | undefined {
    return this.#method
  }

  fromClient(chunk: Buffer): void {
    if (this.#state === 'awaiting' || this.#state === 'hijacked') return
    const request = requestLine.exec(chunk.toString('latin1', 0, headBytes))
    if (request !== null) this.#method = request[1]
    if (request !== null || this.#state === 'silent') this.#state = 'awaiting'
  }

  fromServer(chunk: Buffer): void {
    if (this.#state === 'answered' || this.#state === 'hijacked') return
    const head = chunk.toString('latin1', 0, headBytes)
    const status = statusLine.exec(head)?.[1]
    if (status === '100') return
    this.#state = status === '101' || isHijack(head) ? 'hijacked' : 'answered'
  }
}

/** Docker hands over the raw stream without an upgrade when the client did not ask for one. */
function isHijack(head: string): boolean {
  return /\r\ncontent-type: application\/vnd\.docker\.(raw|multiplexed)-stream\r\n/i.test(head)
}
