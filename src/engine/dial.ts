import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { EngineAddress } from './address.ts'

/**
 * Connects to an engine; the socket may be written to at once. The one place that knows what an address means: our own questions,
 * dockerode's, and what is attached to or run in containers, all go over sockets of this.
 */
export function dialEngine(address: EngineAddress): Socket {
  if (address.kind === 'unix') return connect({ path: address.path })
  const { host, port, tls } = address
  if (tls === undefined) return connect({ host, port })
  const { verify, ...certificates } = tls
  const named = isIP(host) === 0 && { servername: host }
  return connectTls({ host, port, ...named, ...certificates, rejectUnauthorized: verify === 'verify' })
}
