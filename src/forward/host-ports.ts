import { EventEmitter, once } from 'node:events'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import pRetry from 'p-retry'
import { reasonOf } from '../errors/index.ts'
import { orAborted, startDeadline } from '../lifetime/index.ts'
import type { Logger } from '../log/index.ts'
import { readFirstLine } from '../streams/index.ts'
import { HostPortNotOpenedError } from './errors.ts'
import { type Listener, splice } from './listen.ts'

export interface HostPortOptions {
  /** Of this machine's localhost, and of `host.testkernels.internal` in the guest. */
  readonly port: number
  /** Connects to where the VM's container takes offers (images/door/host-ports.c). */
  readonly dial: (signal: AbortSignal) => Promise<Duplex>
  /** Aborts when the VM is gone. */
  readonly gone: AbortSignal
  readonly log: Logger
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
}

/** A container answers within milliseconds; one of another machine, through an engine that is busy, within seconds. */
const OFFER_DEADLINE_MS = 60_000
/** Longer than any answer to an offer. */
const ANSWER_MAX_BYTES = 256
/** At a time, through one port: a guest that wants more waits, and takes no more of this process's descriptors. */
const MOST_CONNECTIONS = 256
const RETRY_MS = { minTimeout: 50, maxTimeout: 2_000 }

/**
 * Lets a guest, and its containers, connect to a port of this machine. Resolves when it is open there; that nobody listens here is told to
 * each who connects, by a reset.
 * @throws HostPortNotOpenedError; when the VM is gone, with the reason
 */
export async function openHostPort(options: HostPortOptions): Promise<Listener> {
  const closing = new AbortController()
  const ended = AbortSignal.any([options.gone, closing.signal])
  const carried = new Set<Duplex>()
  const first = await offer(options, ended)
  const served = serve(first, { ...options, ended, carried })
  return {
    close: async () => {
      closing.abort(new Error('the port is closed'))
      await served
      for (const stream of carried) stream.destroy()
    },
  }
}

interface Serving extends HostPortOptions {
  /** Aborts when nobody is to be served any more. */
  readonly ended: AbortSignal
  /** Connections of the guest that are open. */
  readonly carried: Set<Duplex>
}

/** One offer waits in the container at any time; connections for which there is none yet wait there as well. */
async function serve(first: Duplex, options: Serving): Promise<void> {
  const { port, log, ended, carried } = options
  const events = new EventEmitter()
  for (let stream: Duplex | undefined = first; stream !== undefined; stream = await offerAgain(options)) {
    const answer = await orAborted(readFirstLine(stream, ANSWER_MAX_BYTES), ended).catch(reasonOf)
    if (answer === 'connected') {
      const one = stream
      carried.add(one)
      one.once('close', () => {
        carried.delete(one)
        events.emit('room')
      })
      toService(one, port)
      if (carried.size === MOST_CONNECTIONS) await once(events, 'room', { signal: ended }).catch(() => {})
    } else {
      stream.destroy()
      if (!ended.aborted) log.debug(`port ${port} of this machine is offered to the guest again: ${answer}`)
    }
  }
}

/** Undefined when it is not to be offered any more. */
async function offerAgain(options: Serving): Promise<Duplex | undefined> {
  const { ended } = options
  return await pRetry(() => offer(options, ended), {
    ...RETRY_MS,
    retries: Number.POSITIVE_INFINITY,
    signal: ended,
  }).catch(() => undefined)
}

/** Resolves when it waits for somebody of the guest. */
async function offer({ port, dial, entry }: HostPortOptions, signal: AbortSignal): Promise<Duplex> {
  const refuse = (cause: unknown) =>
    new HostPortNotOpenedError({
      what: `port ${port} of host.testkernels.internal cannot be opened for the guest`,
      entry,
      remedy:
        port < 1024
          ? 'choose a port from 1024 on: not every engine lets its containers listen below (net.ipv4.ip_unprivileged_port_start)'
          : 'start the virtual machine again, and with --debug if it stays so',
      cause,
    })
  using deadline = startDeadline({
    ms: OFFER_DEADLINE_MS,
    onPassed: () => refuse(`its container did not answer within ${OFFER_DEADLINE_MS / 1000} s`),
    signal,
  })
  const stream = await dial(deadline.signal)
  // Whoever has the stream hears of its errors: until then they are what the offer fails with.
  stream.on('error', () => {})
  try {
    stream.write(`${port}\n`)
    const answer = await orAborted(readFirstLine(stream, ANSWER_MAX_BYTES), deadline.signal)
    if (answer === 'listening') return stream
    throw refuse(answer?.replace(/^error /, '') ?? 'its container ended the connection')
  } catch (thrown) {
    stream.destroy()
    throw thrown
  }
}

/** To whoever listens at this machine's loopback device, over IPv4 or IPv6. */
function toService(stream: Duplex, port: number): void {
  const socket = connect({ host: 'localhost', port, allowHalfOpen: true, noDelay: true })
  socket.on('error', () => stream.destroy())
  splice(socket, stream)
}
