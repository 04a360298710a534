import type { TestkernelsError } from '../errors/index.ts'
import type { EngineAddress } from './address.ts'
import { EngineNotPermittedError, EngineUnreachableError } from './errors.ts'
import { errorCodeOf, statusOf } from './request-error.ts'

/** The error for an engine that gave no answer: what is wrong with that address, and what helps there. */
export function describeConnectFailure(address: EngineAddress, where: string, cause: unknown): TestkernelsError {
  const code = errorCodeOf(cause)
  if (code === 'EACCES' || code === 'EPERM') {
    return new EngineNotPermittedError({
      what: `this user may not open the Docker engine's socket at ${where}`,
      remedy: 'add the user to the group docker (`sudo usermod -aG docker $USER`, then log in again), or run as root',
      cause,
    })
  }
  if (statusOf(cause) !== undefined) {
    return new EngineUnreachableError({
      what: `what answers at ${where} is not a Docker engine, or one that is not well`,
      remedy: 'see whether `docker info` answers, and check DOCKER_HOST',
      cause,
    })
  }
  return new EngineUnreachableError({
    what: `no Docker engine answers at ${where}`,
    remedy: remedyFor(address, code),
    cause,
  })
}

function remedyFor(address: EngineAddress, code: string | undefined): string {
  if (address.kind === 'tcp') {
    const tls =
      address.tls === undefined ? 'whether it wants TLS (DOCKER_TLS_VERIFY)' : 'the certificates in DOCKER_CERT_PATH'
    return `check that the engine runs, that its host and port are right (DOCKER_HOST or the Docker context), and ${tls}`
  }
  const start = 'start it (`sudo systemctl start docker`, or `sudo dockerd`)'
  if (code === 'ECONNREFUSED') return `the socket is there but nobody listens: ${start}`
  return `install Docker (Debian and Ubuntu: \`sudo apt-get install docker.io\`) and ${start}, or set DOCKER_HOST`
}
