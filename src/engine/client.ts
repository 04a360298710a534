import { Agent, type ClientRequest, type IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import { connect, isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { inspect } from 'node:util'
import type Docker from 'dockerode'
import { waitingFor } from '../lifetime/index.ts'
import { type EngineAddress, formatAddress } from './address.ts'
import { EngineAddressInvalidError, EngineSilentError } from './errors.ts'
import { dialOverSsh } from './ssh.ts'

/** Not an import: dockerode takes 0.2 s to load, and a command that finds all done asks nothing that needs it. */
const load = createRequire(import.meta.url)

/**
 * A dockerode for this address and nothing else. dockerode reads DOCKER_HOST and its kin by itself and fills in whatever
 * is not given, so every option is given here.
 */
export function createClient(address: EngineAddress): Docker {
  const Client = load('dockerode') as typeof Docker
  try {
    return new Client(clientOptions(address) as Docker.DockerOptions)
  } catch (cause) {
    throw new EngineAddressInvalidError({
      what: `cannot use the engine's address ${formatAddress(address)}`,
      remedy: 'check DOCKER_HOST, and unset DOCKER_CERT_PATH if the engine wants no certificates',
      cause,
    })
  }
}

/** A name where dockerode wants one: `dialEngine` alone decides where requests go. */
const NOWHERE = { protocol: 'http', host: 'docker', port: 80 } as const

function clientOptions(address: EngineAddress) {
  const nothing = { socketPath: undefined, ca: undefined, cert: undefined, key: undefined, version: undefined }
  return { ...NOWHERE, ...nothing, pathPrefix: '/', timeout: undefined, agent: agentOf(address) }
}

/** So long a connection waits for the next request: those of a start follow each other. Servers close idle ones after 5 s and more. */
const IDLE_MS = 3_000

const agents = new WeakMap<EngineAddress, EngineAgent>()

/** What all requests to an address go through. */
export function agentOf(address: EngineAddress): Agent {
  const agent = agents.get(address) ?? new EngineAgent(address)
  agents.set(address, agent)
  return agent
}

/**
 * A new connection for each request on this machine, where it costs nothing, and an idle one that the engine has closed in the meantime
 * would fail the next request. Elsewhere one takes a round trip, over TLS two, over SSH a program and three: there the next request has
 * that of the last.
 */
class EngineAgent extends Agent {
  readonly #address: EngineAddress
  readonly #idle = new WeakMap<Duplex, NodeJS.Timeout>()

  constructor(address: EngineAddress) {
    super({ keepAlive: address.kind !== 'unix' })
    this.#address = address
  }

  override createConnection(): EngineConnection {
    return dialEngine(this.#address)
  }

  /** Whatever the host that a request names: all go to one engine. */
  override getName(): string {
    return 'engine'
  }

  /** Node's question whether a connection is kept for the next request. */
  override keepSocketAlive(connection: EngineConnection): boolean {
    connection.unref()
    this.#idle.set(connection, setTimeout(() => connection.destroy(), IDLE_MS).unref())
    return true
  }

  override reuseSocket(connection: EngineConnection, request: ClientRequest): void {
    // For who may ask again where the engine closes it at this moment.
    request.reusedSocket = true
    clearTimeout(this.#idle.get(connection))
    connection.ref()
  }

  /** Node's own way from a request to its agent: the one place that sees all that dockerode asks. */
  addRequest(request: ClientRequest, options: object): void {
    limitAnswer(request)
    const { addRequest } = Agent.prototype as unknown as Pick<EngineAgent, 'addRequest'>
    addRequest.call(this, request, options)
  }

  /**
   * docker-modem makes a text of all that it sends, for a log that nobody reads. An agent leads to every request that is open: 30 ms
   * of each start of a VM went into that.
   */
  [inspect.custom](): string {
    return 'Agent'
  }
}

/** An engine that is busy with ten starts of containers at once, on a slow disk, takes a third of it. */
const ANSWER_DEADLINE_MS = 60_000
/** What may be gigabytes of files. */
const REMOVAL_DEADLINE_MS = 300_000
/** Answered when the work is done, however long that takes: who asks has a deadline of his own, or a signal. */
const ANSWERED_WHEN_DONE = /^\/(containers\/[^/]+\/wait|images\/(load|create|get)|images\/.+\/push|build)(\?|$)/
const REMOVAL = /^\/(images|volumes)\//
/** Answered bit by bit, as long as there is something to tell. */
const ANSWERED_BIT_BY_BIT = /^\/(events|containers\/[^/]+\/(logs|attach|stats|archive|export)|exec\/[^/]+\/start)(\?|$)/

/**
 * Ends a request to which the engine does not answer, or not to the end: one that is stopped takes every connection, and says nothing for
 * ever.
 */
function limitAnswer(request: ClientRequest): void {
  const { method, path } = request
  const what = `${method} ${path.split('?', 1)[0]}`
  const wait = waitingFor(`the Docker engine to answer ${what}`)
  const ms = method === 'DELETE' && REMOVAL.test(path) ? REMOVAL_DEADLINE_MS : ANSWER_DEADLINE_MS
  let answer: IncomingMessage | undefined
  const silent = () =>
    (answer ?? request).destroy(
      new EngineSilentError({
        what: `the Docker engine did not answer ${what} within ${ms / 1000} s`,
        remedy: 'see whether `docker info` answers, and restart the engine if it does not',
      }),
    )
  const timer = ANSWERED_WHEN_DONE.test(path) ? undefined : setTimeout(silent, ms)
  const end = () => {
    clearTimeout(timer)
    wait[Symbol.dispose]()
  }
  request.once('response', (response) => {
    answer = response
    if (timer === undefined || ANSWERED_BIT_BY_BIT.test(path)) end()
  })
  for (const event of ['upgrade', 'close']) request.once(event, end)
}

/** Does not keep the process alive while nobody uses it. */
export type EngineConnection = Duplex & { ref(): unknown; unref(): unknown }

/**
 * Connects to an engine; the socket may be written to at once. The one place that knows what an address means: our own questions,
 * dockerode's, and what is attached to or run in containers, all go over sockets of this.
 */
export function dialEngine(address: EngineAddress): EngineConnection {
  if (address.kind === 'unix') return connect({ path: address.path })
  if (address.kind === 'ssh') return dialOverSsh(address)
  return dialOverTcp(address).setKeepAlive(true, SILENT_MS)
}

/** A machine that was silent for so long is asked once a second whether it is there; Node gives it ten seconds. */
const SILENT_MS = 35_000

function dialOverTcp({ host, port, tls }: Extract<EngineAddress, { kind: 'tcp' }>): Socket {
  if (tls === undefined) return connect({ host, port })
  const { verify, ...certificates } = tls
  const named = isIP(host) === 0 && { servername: host }
  return connectTls({ host, port, ...named, ...certificates, rejectUnauthorized: verify === 'verify' })
}
