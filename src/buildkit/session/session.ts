import { createHash, randomBytes } from 'node:crypto'
import { type Client, Metadata, Server, ServerCredentials } from '@grpc/grpc-js'
import { Control } from '../gen/control_pb.ts'
import { openDuplex } from '../grpc/call.ts'
import type { Attachable } from './attachable.ts'
import { health } from './health.ts'
import { SessionServices } from './services.ts'
import { tunnel } from './tunnel.ts'

/** Lets the engine call this machine while a solve runs. */
export interface Session extends AsyncDisposable {
  readonly id: string
  /** What went wrong on our side, in order. */
  readonly failures: readonly Error[]
}

/**
 * Opens a session that serves `attachables`. Each solve needs its own: an engine 20.10 that gets a second solve through one
 * session reuses what the first one sent.
 */
export async function openSession(client: Client, attachables: readonly Attachable[]): Promise<Session> {
  const id = randomBytes(16).toString('hex')
  const server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 })
  const services = new SessionServices(server)
  for (const attachable of [health, ...attachables]) attachable.register(services)

  const metadata = new Metadata()
  metadata.set('x-docker-expose-session-uuid', id)
  metadata.set('x-docker-expose-session-name', 'testkernels')
  metadata.set('x-docker-expose-session-sharedkey', await sharedKey(attachables))
  for (const path of services.paths) metadata.add('x-docker-expose-session-grpc-method', path)

  const connection = tunnel(openDuplex(client, Control.method.session, metadata))
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  injector.injectConnection(connection)
  return {
    id,
    failures: services.failures,
    [Symbol.asyncDispose]: async () => {
      injector.destroy()
      server.forceShutdown()
      connection.destroy()
    },
  }
}

async function sharedKey(attachables: readonly Attachable[]): Promise<string> {
  const keys = await Promise.all(attachables.map((attachable) => attachable.sharedKey?.() ?? ''))
  return createHash('sha256').update(keys.join('\n')).digest('hex')
}
