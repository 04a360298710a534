import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { createRequire } from 'node:module'
import { inspect } from 'node:util'
import type Docker from 'dockerode'
import { type EngineAddress, formatAddress } from './address.ts'
import { EngineAddressInvalidError } from './errors.ts'

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

function clientOptions(address: EngineAddress) {
  const nothing = {
    socketPath: undefined,
    host: undefined,
    port: undefined,
    ca: undefined,
    cert: undefined,
    key: undefined,
  }
  const common = { ...nothing, version: undefined, pathPrefix: '/', timeout: undefined }
  if (address.kind === 'unix') {
    return { ...common, protocol: 'http', socketPath: address.path, agent: opaque(new HttpAgent({ keepAlive: false })) }
  }
  const { host, port, tls } = address
  const target = { host: host.includes(':') ? `[${host}]` : host, port }
  if (tls === undefined) {
    return { ...common, ...target, protocol: 'http', agent: opaque(new HttpAgent({ keepAlive: false })) }
  }
  const { verify, ...certificates } = tls
  const agent = opaque(new HttpsAgent({ keepAlive: false, rejectUnauthorized: verify === 'verify' }))
  return { ...common, ...target, ...certificates, protocol: 'https', agent }
}

/**
 * docker-modem makes a text of all that it sends, for a log that nobody reads. An agent leads to every request that is open: 30 ms
 * of each start of a VM went into that.
 */
function opaque<A extends HttpAgent>(agent: A): A {
  return Object.assign(agent, { [inspect.custom]: () => 'Agent' })
}
