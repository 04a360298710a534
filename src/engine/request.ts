import {
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  IncomingMessage,
  type OutgoingHttpHeaders,
} from 'node:http'
import type { Duplex } from 'node:stream'
import { readLines, readText } from '../log/index.ts'
import type { EngineAddress } from './address.ts'
import { agentOf } from './client.ts'

/** An engine with ten thousand images lists them in less. */
const ANSWER_MAX_BYTES = 64 * 1024 * 1024

/** A question to the engine whose answer is one JSON document. */
export interface EngineRequest {
  /** @default 'GET' */
  readonly method?: 'GET' | 'POST' | 'DELETE'
  /** Such as `/info`; what goes into it from outside must be encoded. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: unknown
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
 * Asks the engine without dockerode, whose loading takes longer than all that a command asks when there is nothing to do.
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
  const response = await requestStream(address, request)
  const body = await readText(response, { maxBytes: ANSWER_MAX_BYTES })
  return { document: (body === '' ? undefined : JSON.parse(body)) as T, headers: response.headers }
}

/**
 * A question that is answered bit by bit, such as the engine's events; `signal` ends the answer as well.
 * @throws EngineRefusal; what Node throws for a connection that fails
 */
export async function requestStream(address: EngineAddress, request: EngineRequest): Promise<IncomingMessage> {
  const response = await answerTo(address, request)
  return accepted(response) ? response : await refuse(response)
}

/** A connection that was kept may be closed at the moment at which it is used again: what changes nothing is asked once more then. */
async function answerTo(address: EngineAddress, request: EngineRequest): Promise<IncomingMessage> {
  for (;;) {
    const asked = send(address, request)
    try {
      return await new Promise<IncomingMessage>((resolve, reject) => {
        asked.once('response', resolve).once('error', reject)
      })
    } catch (thrown) {
      const wasClosed = asked.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(errorCodeOf(thrown) ?? '')
      if (!wasClosed || asked.method !== 'GET') throw thrown
    }
  }
}

/**
 * Asks the engine to go on with the connection as a raw stream, such as what is attached to a container.
 * @throws EngineRefusal; what Node throws for a connection that fails
 */
export async function requestUpgrade(address: EngineAddress, request: EngineRequest): Promise<Duplex> {
  const answer = await new Promise<Duplex | IncomingMessage>((resolve, reject) => {
    send(address, request, { Connection: 'Upgrade', Upgrade: 'tcp' })
      .once('upgrade', (_response, stream, head) => {
        if (head.length > 0) stream.unshift(head)
        resolve(stream)
      })
      .once('response', resolve)
      .once('error', reject)
  })
  if (!(answer instanceof IncomingMessage)) return answer
  if (!accepted(answer)) return await refuse(answer)
  // What is in between does not pass on the upgrade: the answer is the stream, and has no end.
  answer.destroy()
  throw new EngineRefusal(answer.statusCode ?? 0, 'the connection was not upgraded')
}

function accepted({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode <= 299
}

async function refuse(response: IncomingMessage): Promise<never> {
  const body = await readText(response, { maxBytes: ANSWER_MAX_BYTES })
  throw new EngineRefusal(response.statusCode ?? 0, messageIn(body))
}

function send(address: EngineAddress, request: EngineRequest, headers: OutgoingHttpHeaders = {}): ClientRequest {
  const { method = 'GET', path, query, body, signal } = request
  const search = query === undefined ? '' : `?${new URLSearchParams(query)}`
  const asked = httpRequest({
    agent: agentOf(address),
    headers: { Host: 'docker', ...(body !== undefined && { 'Content-Type': 'application/json' }), ...headers },
    method,
    path: path + search,
    ...(signal && { signal }),
  })
  return asked.end(body === undefined ? undefined : JSON.stringify(body))
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

/** The HTTP status of a request that the engine refused; `undefined` for any other error. */
export function statusOf(error: unknown): number | undefined {
  const status = property(error, 'statusCode')
  return typeof status === 'number' ? status : undefined
}

/** The system's error code, such as `ECONNREFUSED`, of a request that did not get through. */
export function errorCodeOf(error: unknown): string | undefined {
  const code = property(error, 'code')
  return typeof code === 'string' ? code : undefined
}

function property(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
}

/** Far more than any message has, in characters; a longer one is no message. */
export const LONGEST_MESSAGE = 4 * 1024 * 1024

/** One line of the engine's answer to pull, load and import. */
export interface EngineMessage {
  readonly id?: string
  readonly status?: string
  readonly stream?: string
  readonly error?: string
}

/** Reads the answer to its end. The engine has said 200 long before it knows: a failure is a message as well. */
export async function* readMessages(answer: AsyncIterable<Buffer>): AsyncGenerator<EngineMessage, void> {
  for await (const line of readLines(answer, { longest: LONGEST_MESSAGE, overlong: 'throw' })) {
    if (line.trim() === '') continue
    const message = JSON.parse(line) as EngineMessage
    if (message.error !== undefined) throw new Error(message.error)
    yield message
  }
}
