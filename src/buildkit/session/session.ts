import { createHash, randomBytes } from 'node:crypto'
import { Duplex } from 'node:stream'
import { type Client, type ClientDuplexStream, Metadata, Server, ServerCredentials } from '@grpc/grpc-js'
import { Control } from '../gen/control_pb.ts'
import { Health, HealthCheckResponse_ServingStatus } from '../gen/health_pb.ts'
import { openDuplex } from '../grpc.ts'
import { MESSAGE_MAX_BYTES } from '../transport/transport.ts'
import { type Attachable, SessionServices } from './services.ts'

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
  const server = new Server({
    'grpc.max_receive_message_length': MESSAGE_MAX_BYTES,
    'grpc.max_send_message_length': -1,
  })
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

/** Answers the engine's health check. An engine 20.10 drops a session that does not, after one second. */
const health: Attachable = {
  register: (services) =>
    services.unary(Health.method.check, () => ({ status: HealthCheckResponse_ServingStatus.SERVING })),
}

interface Bytes {
  readonly data?: Uint8Array
}

/** A connection inside a gRPC stream: bytes go as messages, with back pressure in both directions. */
function tunnel(call: ClientDuplexStream<Bytes, Bytes>): Duplex {
  const write = (data: Uint8Array, done: () => void) => {
    if (call.write({ data })) done()
    else call.once('drain', done)
  }
  const connection = new Duplex({
    read: () => call.resume(),
    write: (chunk: Buffer, _encoding, done) => write(chunk, done),
    // HTTP/2 writes the header of each frame by itself; a message for every nine bytes would be the larger part of the work.
    writev: (chunks, done) => write(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)), done),
    final: (done) => {
      call.end()
      done()
    },
    destroy: (error, done) => {
      call.cancel()
      done(error)
    },
  })
  call.on('data', ({ data }: Bytes) => {
    if (data !== undefined && !connection.push(data)) call.pause()
  })
  call.on('end', () => connection.push(null))
  // The end of a session always looks like an error to the stream; whoever waits for the solve gets the real one.
  call.on('error', () => connection.destroy())
  return connection
}
