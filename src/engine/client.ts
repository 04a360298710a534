import { Agent, type ClientRequest } from 'node:http'
import { createRequire } from 'node:module'
import type { Duplex } from 'node:stream'
import { inspect } from 'node:util'
import type Docker from 'dockerode'
import { type EngineAddress, formatAddress } from './address.ts'
import { EngineAddressInvalidError } from './errors.ts'
import { dialEngine, limitAnswer } from './request.ts'

/** Not an import: dockerode takes 0.2 s to load, and a command that finds all done asks nothing that needs it. */
const load = createRequire(import.meta.url)

/**
 * A dockerode for this address and nothing else. dockerode reads DOCKER_HOST and its kin by itself and fills in whatever
 * is not given, so every option is given here. One connection a request: an idle one that the engine has closed in the
 * meantime would fail the next request, and a new one on a local socket costs nothing.
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
  return { ...NOWHERE, ...nothing, pathPrefix: '/', timeout: undefined, agent: new EngineAgent(address) }
}

/** One connection a request. */
class EngineAgent extends Agent {
  readonly #address: EngineAddress

  constructor(address: EngineAddress) {
    super({ keepAlive: false })
    this.#address = address
  }

  override createConnection(): Duplex {
    return dialEngine(this.#address)
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
