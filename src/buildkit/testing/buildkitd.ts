import { EventEmitter, once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer, type ServerOptions } from 'node:https'
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net'
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type UntypedHandleCall,
} from '@grpc/grpc-js'
import { BytesMessageSchema, Control, type SolveRequest, type StatusRequest } from '../gen/control_pb.ts'
import { FileSend } from '../gen/filesync_pb.ts'
import { LLBBridge, type ReturnRequest } from '../gen/gateway_pb.ts'
import { Health } from '../gen/health_pb.ts'
import { Secrets } from '../gen/secrets_pb.ts'
import { bindMethod, type Method } from '../grpc.ts'
import { type SessionCall, SessionCaller } from './session-caller.ts'

/** What a test makes of a solve, in place of building. */
export interface Made {
  readonly exporter: string
  readonly attrs: Readonly<Record<string, string>>
  /** That the client, as the frontend, gave the image. */
  readonly imageConfig: Readonly<Record<string, unknown>> | undefined
}

export interface BuildkitdOptions {
  /** @default all solves answer with the session's health and secret */
  readonly make?: (made: Made) => Promise<Buffer>
  /** What its one worker says it is called. */
  readonly workerId?: string
}

/**
 * A server that speaks BuildKit's protocol, for the transports that the engine at hand does not have. It builds nothing:
 * a solve asks the session for its health and the secret `token`, and answers with them; or, given `make`, sends what that makes for
 * the exporter.
 */
export class Buildkitd implements AsyncDisposable {
  readonly solves: SolveRequest[] = []
  readonly #grpc = new Server()
  readonly #servers: NetServer[] = []
  readonly #make: ((made: Made) => Promise<Buffer>) | undefined
  /** What clients that are frontends return, by the solve that they serve. */
  readonly #returned = new EventEmitter()
  readonly #sessions = new Map<string, { session: Promise<SessionCaller>; opened: (caller: SessionCaller) => void }>()

  constructor({ make, workerId = 'worker' }: BuildkitdOptions = {}) {
    this.#make = make
    this.#serveFrontends()
    const { solve, status, session, listWorkers } = Control.method
    this.#serve(listWorkers, 'unary', (_call: unknown, answer: sendUnaryData<object>) =>
      answer(null, { record: [{ id: workerId, platforms: [{ os: 'linux', architecture: 'amd64' }] }] }),
    )
    this.#serve(session, 'bidi', (call: SessionCall) => {
      call.on('error', () => {})
      this.#session(String(call.metadata.get('x-docker-expose-session-uuid')[0])).opened(new SessionCaller(call))
    })
    this.#serve(status, 'serverStream', (call: ServerWritableStream<StatusRequest, object>) => {
      call.write({ vertexes: [{ digest: 'sha256:1', name: 'a step' }] })
      call.end()
    })
    this.#serve(solve, 'unary', (call: ServerUnaryCall<SolveRequest, object>, answer: sendUnaryData<object>) => {
      this.solves.push(call.request)
      this.#solve(call.request).then(
        (exporterResponse) => answer(null, { exporterResponse }),
        (error: Error) => answer({ code: 2, details: error.message }),
      )
    })
  }

  /** Where grpc-js itself can listen: `unix:…` or `127.0.0.1:0`. Resolves with the port. */
  listen(target: string, credentials = ServerCredentials.createInsecure()): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#grpc.bindAsync(target, credentials, (error, port) => (error === null ? resolve(port) : reject(error)))
    })
  }

  /** As an engine that no longer upgrades: HTTP/1.1 and HTTP/2 on one socket, told apart by the first bytes. */
  async listenLikeEngine(socketPath: string): Promise<void> {
    const http1 = createHttpServer((_request, response) => response.writeHead(404).end('page not found'))
    const http2 = this.#grpc.createConnectionInjector(ServerCredentials.createInsecure())
    const server = createServer((socket: Socket) => {
      socket.once('readable', () => {
        const first = socket.read() as Buffer
        socket.unshift(first)
        if (String(first).startsWith('PRI * HTTP/2')) http2.injectConnection(socket)
        else http1.emit('connection', socket)
      })
    })
    this.#servers.push(server.listen(socketPath))
    await once(server, 'listening')
  }

  /** As an engine of today behind TLS: `POST /grpc` is upgraded. Resolves with the port. */
  async listenLikeTlsEngine(tls: ServerOptions): Promise<number> {
    const http2 = this.#grpc.createConnectionInjector(ServerCredentials.createInsecure())
    const server = createHttpsServer(tls).on('upgrade', (_request, socket) => {
      const switching = 'HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'
      // Node asks a TLS socket for the negotiated protocol; here it was agreed upon later. And it dies of an assertion when
      // HTTP/2 takes over a socket while a write is on its way.
      socket.write(switching, () => http2.injectConnection(Object.assign(socket, { alpnProtocol: 'h2' })))
    })
    this.#servers.push(server.listen(0, '127.0.0.1'))
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) server.close()
    this.#grpc.forceShutdown()
  }

  // biome-ignore lint/suspicious/noExplicitAny: grpc-js registers handlers of any message
  #serve(method: Method<any, any>, type: string, handle: UntypedHandleCall): void {
    const { path, responseSerialize, requestDeserialize } = bindMethod(method)
    this.#grpc.register(path, handle, responseSerialize, requestDeserialize, type)
  }

  /** The session with this id, which may be opened before or after it is asked for. */
  #session(id: string) {
    const known = this.#sessions.get(id)
    if (known !== undefined) return known
    let opened: (caller: SessionCaller) => void = () => {}
    const session = new Promise<SessionCaller>((resolve) => {
      opened = resolve
    })
    const entry = { session, opened }
    this.#sessions.set(id, entry)
    return entry
  }

  #serveFrontends(): void {
    const { solve, return: giveBack } = LLBBridge.method
    this.#serve(solve, 'unary', (_call: unknown, answer: sendUnaryData<object>) =>
      answer(null, { result: { result: { case: 'ref', value: { id: 'result' } } } }),
    )
    this.#serve(giveBack, 'unary', (call: ServerUnaryCall<ReturnRequest, object>, answer: sendUnaryData<object>) => {
      this.#returned.emit(String(call.metadata.get('buildkit-controlapi-buildid')[0]), call.request)
      answer(null, {})
    })
  }

  async #imageConfig({ ref, definition }: SolveRequest): Promise<Made['imageConfig']> {
    if (definition !== undefined) return undefined
    const [{ result }] = (await once(this.#returned, ref)) as [ReturnRequest]
    return JSON.parse(Buffer.from(result?.metadata['containerimage.config'] ?? []).toString())
  }

  async #solve(request: SolveRequest): Promise<Record<string, string>> {
    const { session: id, exporter, exporterAttrs } = request
    const config = this.#make === undefined ? undefined : this.#imageConfig(request)
    const session = await this.#session(id).session
    if (this.#make !== undefined) {
      const made = await this.#make({ exporter, attrs: exporterAttrs, imageConfig: await config })
      await session.send(FileSend.method.diffCopy, BytesMessageSchema, [{ data: made }])
      return {}
    }
    const { status } = await session.call(Health.method.check, {})
    const { data } = await session.call(Secrets.method.getSecret, { id: 'token' })
    return { ...exporterAttrs, health: String(status), token: Buffer.from(data).toString() }
  }
}
