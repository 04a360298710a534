import type { Socket } from 'node:net'
import { type Duplex, Transform } from 'node:stream'
import { reasonOf } from '../../errors/index.ts'
import { reasonInTime } from '../../lifetime/index.ts'
import { StreamRefusedError } from '../../streams/index.ts'
import { ForwardBrokenError } from '../errors.ts'
import { endWith } from '../listen.ts'
import { Exchange, type Request } from './exchange.ts'
import { type MovedPorts, tellMovedPorts } from './port-answers.ts'

export interface RelayOptions {
  readonly open: () => Promise<Duplex>
  /** Aborts when the VM is gone; what clients get to read is its reason. */
  readonly explanation: AbortSignal
  /** What a piece that the client sends must wait for; when it fails, the client gets to read that. @default nothing */
  readonly beforePiece?: (piece: Buffer) => Promise<void> | undefined
  /** What an answer, of which the first piece has come, must wait for; when it fails, the client gets to read that. @default nothing */
  readonly beforeAnswer?: (request: Request, piece: Buffer) => Promise<void> | undefined
  /** Ports that answers are to tell of as they are on this machine. @default answers are passed on as they are */
  readonly movedPorts?: MovedPorts | undefined
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
}

/**
 * Carries one HTTP connection to the guest's dockerd, and answers itself when that is not possible any more. A connection that breaks
 * where its client would wonder waits a little for the reason: what breaks it is often the VM's end, of which we hear a moment later.
 */
export function relay(local: Socket, options: RelayOptions): void {
  const { open, explanation, beforePiece, beforeAnswer, movedPorts, entry } = options
  const exchange = new Exchange()
  let remote: Duplex | undefined
  /** What of the remote end is passed on: all that it sends, in its time. */
  let answers: Duplex | undefined
  /** The same of what the client sends. */
  let requests: Duplex | undefined
  let broken = false
  let gaveUp = false

  const giveUp = (reason: unknown) => {
    if (gaveUp) return
    gaveUp = true
    part()
    if (!local.destroyed) farewell(local, reason, exchange)
  }
  const onExplained = () => giveUp(explanation.reason)
  const onBroken = (loss: unknown) => {
    if (broken || gaveUp) return
    broken = true
    part()
    if (!exchange.unfinished && lateFailureOf(exchange) === undefined) local.destroySoon()
    else void reasonInTime(explanation, loss).then(giveUp)
  }
  const part = () => {
    if (remote === undefined) return
    requests?.unpipe(remote)
    local.unpipe()
    answers?.unpipe(local)
    remote.destroy()
  }

  const join = (opened: Duplex) => {
    if (gaveUp || local.destroyed) return void opened.destroy()
    remote = opened
    local.on('data', (piece: Buffer) => exchange.fromClient(piece))
    requests = beforePiece === undefined ? local : local.pipe(holdPieces({ beforePiece, giveUp }))
    requests.pipe(opened)
    const told = movedPorts ? opened.pipe(tellMovedPorts(() => exchange.request, movedPorts)) : opened
    answers = beforeAnswer === undefined ? told : told.pipe(holdAnswers(exchange, { beforeAnswer, giveUp }))
    if (beforeAnswer === undefined) told.on('data', (piece: Buffer) => exchange.fromServer(piece))
    if (answers !== opened) opened.once('close', () => opened.readableEnded || answers?.destroy())
    answers.pipe(local, { end: false })
    endWith(local, opened)
    opened.on('error', onBroken)
    answers.once('end', () => {
      // A client that is done, or whose answer is complete, takes an end for an end.
      if (exchange.unfinished && !local.readableEnded) onBroken(endedEarly(entry))
      else local.end()
    })
    answers.once('close', () => {
      if (!broken && !gaveUp) local.destroySoon()
    })
  }

  // The 'close' that follows an error does the work.
  local.on('error', () => {})
  if (explanation.aborted) {
    onExplained()
    return
  }
  explanation.addEventListener('abort', onExplained, { once: true })
  local.once('close', () => explanation.removeEventListener('abort', onExplained))
  open().then(join, (error) => {
    if (error instanceof StreamRefusedError) giveUp(error)
    else onBroken(error)
  })
}

/** Passes on what comes from the client; a piece that must wait for something when that is done. */
function holdPieces({
  beforePiece,
  giveUp,
}: {
  readonly beforePiece: NonNullable<RelayOptions['beforePiece']>
  readonly giveUp: (reason: unknown) => void
}): Transform {
  return new Transform({
    transform(piece: Buffer, _encoding, done) {
      const wait = beforePiece(piece)
      if (wait === undefined) done(null, piece)
      else wait.then(() => done(null, piece), giveUp)
    },
  })
}

interface Holding {
  readonly beforeAnswer: NonNullable<RelayOptions['beforeAnswer']>
  readonly giveUp: (reason: unknown) => void
}

/** Passes on what comes from the server; the first piece of an answer when what it must wait for is done. */
function holdAnswers(exchange: Exchange, { beforeAnswer, giveUp }: Holding): Transform {
  return new Transform({
    transform(piece: Buffer, _encoding, done) {
      const pass = () => {
        exchange.fromServer(piece)
        done(null, piece)
      }
      // What is thrown in a transform would end the process.
      const before = async (request: Request) => await beforeAnswer(request, piece)
      if (!exchange.awaiting || exchange.request === undefined) pass()
      else before(exchange.request).then(pass, giveUp)
    },
  })
}

function endedEarly(entry: string | undefined): ForwardBrokenError {
  return new ForwardBrokenError({
    what: "the guest's dockerd ended the connection before its answer was complete",
    entry,
    remedy: "read dockerd's log in the guest (/var/log/dockerd.log), and the console",
  })
}

/**
 * Tells a client why nothing more comes, in the answer to its request, or else to its next one, and ends the connection.
 * Where neither is possible, the connection just ends.
 */
function farewell(socket: Socket, reason: unknown, exchange: Exchange): void {
  if (exchange.awaiting) answer(socket, reason, exchange)
  else if (exchange.silent) answerNext(socket, reason, exchange)
  else {
    socket.write(errorEnd(reason, exchange) ?? '')
    socket.destroySoon()
  }
}

function answerNext(socket: Socket, reason: unknown, exchange: Exchange): void {
  socket.once('data', (piece: Buffer) => {
    exchange.fromClient(piece)
    answer(socket, reason, exchange)
  })
  socket.once('end', () => socket.end())
  socket.resume()
}

function answer(socket: Socket, reason: unknown, exchange: Exchange): void {
  socket.end(errorAnswer(reason, exchange))
  // A client that cannot write on never reads the answer: what it sends is read and dropped.
  socket.resume()
}

/**
 * Answers of which dockerd sends the head at once and the end much later, and how each of them tells of a failure. Without
 * such an end `docker run` says "unexpected EOF" of a kernel that panicked, and `docker exec` and `docker logs` that all is well.
 */
const lateFailures: readonly { target: RegExp; failure: (message: string) => Buffer }[] = [
  {
    target: /\/containers\/[^/]+\/wait(\?|$)/,
    // 125 is how docker says that it failed itself, and not the container.
    failure: (message) => json({ StatusCode: 125, Error: { Message: message } }),
  },
  {
    target: /\/(build|images\/create|images\/load|images\/.+\/push)(\?|$)/,
    failure: (message) => json({ errorDetail: { message }, error: message }),
  },
  // That of an attached container has `wait` beside it, which says more: a status.
  { target: /\/(exec\/[^/]+\/start|containers\/[^/]+\/logs)(\?|$)/, failure: errorFrame },
]

function json(told: object): Buffer {
  return Buffer.from(`${JSON.stringify(told)}\r\n`)
}

/** Beside standard input and both outputs, a stream of frames has one of errors of the daemon (Systemerr of moby's pkg/stdcopy). */
function errorFrame(message: string): Buffer {
  const body = Buffer.from(message)
  const head = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0])
  head.writeUInt32BE(body.length, 4)
  return Buffer.concat([head, body])
}

/** An error as dockerd itself would send it, which docker clients print as "Error response from daemon: ...". */
function errorAnswer(reason: unknown, exchange: Exchange): string {
  const body = `${JSON.stringify({ message: reasonOf(reason) })}\n`
  const head = [
    'HTTP/1.1 500 Internal Server Error',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  // Bytes after the answer to a HEAD request would count as an answer that nobody asked for.
  return `${head.join('\r\n')}\r\n\r\n${exchange.request?.method === 'HEAD' ? '' : body}`
}

/** The end of an answer that has begun, with the reason in it; undefined where no such end can be told. */
function errorEnd(reason: unknown, exchange: Exchange): Buffer | undefined {
  const late = lateFailureOf(exchange)
  if (late === undefined || exchange.extensible === undefined) return undefined
  const told = late.failure(reasonOf(reason))
  if (exchange.extensible === 'bytes') return told
  return Buffer.concat([Buffer.from(`${told.length.toString(16)}\r\n`), told, Buffer.from('\r\n0\r\n\r\n')])
}

function lateFailureOf({ request }: Exchange) {
  return lateFailures.find(({ target }) => target.test(request?.target ?? ''))
}
