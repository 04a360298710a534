import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import type { EngineAddress } from './address.ts'
import { dialEngine } from './dial.ts'

/** A question to the engine whose answer is one JSON document. */
export interface EngineRequest {
  /** @default 'GET' */
  readonly method?: 'GET' | 'POST' | 'DELETE'
  /** Such as `/info`; what goes into it from outside must be encoded. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
}

/** The engine answered, and not with what was asked for. */
export class EngineRefusal extends Error {
  readonly statusCode: number

  constructor(statusCode: number, reason: string) {
    super(`(HTTP code ${statusCode}) ${reason}`)
    this.statusCode = statusCode
  }
}

/**
 * Asks the engine without dockerode, whose loading takes longer than all that a command asks when there is nothing to do. One
 * connection a request: on a local socket it costs nothing, and an idle one may have been closed meanwhile.
 * @throws EngineRefusal; what Node throws for a connection that fails
 */
export async function requestJson<T>(address: EngineAddress, request: EngineRequest): Promise<T> {
  return (await requestDocument<T>(address, request)).document
}

/** The same, with what the engine says of itself in each answer's headers. */
export async function requestDocument<T>(
  address: EngineAddress,
  request: EngineRequest,
): Promise<{ readonly document: T; readonly headers: IncomingHttpHeaders }> {
  const response = await send(address, request)
  const body = await text(response)
  const status = response.statusCode ?? 0
  if (status < 200 || status > 299) throw new EngineRefusal(status, messageIn(body))
  return { document: (body === '' ? undefined : JSON.parse(body)) as T, headers: response.headers }
}

function send(address: EngineAddress, request: EngineRequest): Promise<IncomingMessage> {
  const { method = 'GET', path, query, signal } = request
  const search = query === undefined ? '' : `?${new URLSearchParams(query)}`
  const createConnection = () => dialEngine(address)
  const options = {
    createConnection,
    headers: { Host: 'docker' },
    method,
    path: path + search,
    ...(signal && { signal }),
  }
  return new Promise((resolve, reject) => {
    httpRequest(options, resolve).once('error', reject).end()
  })
}

/** The engine's own words; a server that is none answers in some other form. */
function messageIn(body: string): string {
  try {
    const { message } = JSON.parse(body) as { message?: unknown }
    return typeof message === 'string' ? message : body.trim()
  } catch {
    return body.trim()
  }
}
