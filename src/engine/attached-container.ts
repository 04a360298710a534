import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type Docker from 'dockerode'
import { Disposals, neverAborted, orAborted } from '../lifetime/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import type { Engine } from './connect.ts'
import { type ContainerExit, type ContainerFate, followContainer } from './container-events.ts'
import { containerFailure } from './container-failure.ts'
import { type ContainerOptions, createBody } from './container-options.ts'
import { ContainerNotRemovedError } from './errors.ts'
import { createDemultiplexer, LineBuffer, type LineStream } from './output.ts'
import { statusOf } from './request.ts'

/**
 * A running container whose life hangs on this process: we hold the only stream to its stdin, so when we die, even by
 * SIGKILL, the engine closes that stdin. The program inside must end when it reads the end of it; the engine then removes
 * the container.
 */
export interface AttachedContainer extends AsyncDisposable {
  readonly id: string
  /** `undefined` on the networks `none` and `host`. */
  readonly ipAddress: string | undefined
  readonly stdout: LineStream
  readonly stderr: LineStream
  /**
   * Writes to the container's standard input, no faster than it is read. It stays open, because its end is the end of the container.
   * @throws Error when the container ends meanwhile
   */
  send(chunks: AsyncIterable<Uint8Array>): Promise<void>
  /** Resolves when the container has ended, for whatever reason, and its output is complete. Never rejects. */
  readonly exited: Promise<ContainerExit>
  /**
   * Closes stdin, kills the container if it has not ended after `stopGraceMs`, and waits until the engine has removed it.
   * Memoised.
   * @throws ContainerNotRemovedError
   */
  stop(): Promise<ContainerExit>
}

export interface RunOptions {
  /** Aborts the start; afterwards it has no effect. */
  readonly signal?: AbortSignal
  readonly log?: Logger
}

const DEFAULT_STOP_GRACE_MS = 3_000
/** From SIGKILL to the container's removal; a busy disk makes the engine slow. */
const REMOVAL_TIMEOUT_MS = 30_000

/**
 * Creates, attaches and starts, in this order, so that we are attached in every moment of the container's life. What a
 * SIGKILL between creating and starting leaves is a container that never ran; `prune` removes it.
 * @throws ContainerNotStartedError, DeviceMissingError, ImageMissingError
 */
export async function runAttached(
  engine: Engine,
  options: ContainerOptions,
  run: RunOptions = {},
): Promise<AttachedContainer> {
  const { docker } = engine
  const { log = silentLogger, signal = neverAborted() } = run
  await using starting = new Disposals()
  const attempt = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await orAborted(work, signal)
    } catch (cause) {
      signal.throwIfAborted()
      throw containerFailure({ arch: engine.arch, ...options }, cause)
    }
  }
  /** Registers the clean-up before the work is done: an abort does not stop the work, only our waiting for it. */
  const acquire = <T>(name: string, work: Promise<T>, release: (resource: T) => unknown): Promise<T> => {
    starting.defer(name, () => work.then(release, () => {}))
    return attempt(work)
  }

  const container = await acquire('container', createContainer(docker, options), removeNow)
  const fate = await acquire('events', followContainer(docker, container.id), ({ unfollow }) => unfollow())
  const stdin = await acquire('attach stream', attach(container), (stream) => stream.destroy())
  const stdout = new LineBuffer()
  const stderr = new LineBuffer()
  const outputEnded = readOutput(stdin, { stdout, stderr })
  await attempt(container.start())
  const address = await attempt(networkAddress(container))
  log.debug(
    `container ${container.id.slice(0, 12)} of ${options.image} runs${address === undefined ? '' : ` at ${address}`}`,
  )

  starting.move()
  const exited = fate.exited.then(async (exit) => {
    await Promise.race([outputEnded, fate.removed])
    return exit
  })
  let stopping: Promise<ContainerExit> | undefined
  const stop = () => {
    stopping ??= end({ container, fate, stdin, graceMs: options.stopGraceMs ?? DEFAULT_STOP_GRACE_MS, log }).then(
      () => exited,
    )
    return stopping
  }
  return {
    id: container.id,
    ipAddress: address,
    stdout,
    stderr,
    send: (chunks) => send(chunks, { stdin, exited }),
    exited,
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  }
}

async function send(
  chunks: AsyncIterable<Uint8Array>,
  { stdin, exited }: { readonly stdin: Duplex; readonly exited: Promise<ContainerExit> },
): Promise<void> {
  const ended = exited.then(({ exitCode }) => {
    throw new Error(`the container ended (status ${exitCode ?? 'unknown'}) before it had read all`)
  })
  ended.catch(() => {})
  for await (const chunk of chunks) {
    if (!stdin.write(chunk)) await Promise.race([once(stdin, 'drain'), ended])
  }
}

/** dockerode would put the whole body into the URL as well, environment included, were it not told apart from the query. */
async function createContainer(docker: Docker, options: ContainerOptions): Promise<Docker.Container> {
  const { name, ...body } = createBody(options)
  const call = { _query: name === undefined ? {} : { name }, _body: body }
  return await docker.createContainer(call as Docker.ContainerCreateOptions)
}

async function attach(container: Docker.Container): Promise<Duplex> {
  return (await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true })) as Duplex
}

/** Resolves when the engine has ended the stream. */
function readOutput(stream: Duplex, { stdout, stderr }: { stdout: LineBuffer; stderr: LineBuffer }): Promise<void> {
  const take = createDemultiplexer({ stdout: (chunk) => stdout.write(chunk), stderr: (chunk) => stderr.write(chunk) })
  stream.on('data', take)
  // A broken stream is a closed one: what it means for the container, the engine's events tell.
  stream.on('error', () => {})
  return new Promise((resolve) => {
    stream.once('close', () => {
      stdout.end()
      stderr.end()
      resolve()
    })
  })
}

async function networkAddress(container: Docker.Container): Promise<string | undefined> {
  try {
    const { NetworkSettings } = await container.inspect()
    return Object.values(NetworkSettings.Networks).find(({ IPAddress }) => IPAddress !== '')?.IPAddress
  } catch (error) {
    // It has ended already: that is for `exited` to tell.
    if (statusOf(error) === 404) return undefined
    throw error
  }
}

interface Ending {
  readonly container: Docker.Container
  readonly fate: ContainerFate
  readonly stdin: Duplex
  readonly graceMs: number
  readonly log: Logger
}

async function end({ container, fate, stdin, graceMs, log }: Ending): Promise<void> {
  stdin.end()
  try {
    if (await happensWithin(fate.removed, graceMs)) return
    log.debug(`container ${container.id.slice(0, 12)} did not end within ${graceMs} ms of its stdin; killing it`)
    await removeNow(container)
    if (await happensWithin(fate.removed, REMOVAL_TIMEOUT_MS)) return
    throw new ContainerNotRemovedError({
      what: `the engine did not remove the container ${container.id.slice(0, 12)} within ${REMOVAL_TIMEOUT_MS / 1_000} s`,
      remedy: `remove it with \`docker rm -f ${container.id.slice(0, 12)}\`, and see the engine's log`,
    })
  } finally {
    fate.unfollow()
    stdin.destroy()
  }
}

/** Resolves when the engine has the container no more, whether we removed it or its own auto-removal was faster. */
async function removeNow(container: Docker.Container): Promise<void> {
  try {
    await container.remove({ force: true, v: true })
  } catch (error) {
    if (statusOf(error) === 404) return
    // 409: the engine is at it.
    if (statusOf(error) !== 409) throw error
    await container
      .wait({ condition: 'removed', abortSignal: AbortSignal.timeout(REMOVAL_TIMEOUT_MS) })
      .catch(ignoreMissing)
  }
}

function ignoreMissing(error: unknown): void {
  if (statusOf(error) !== 404) throw error
}

async function happensWithin(event: Promise<void>, ms: number): Promise<boolean> {
  const timer = new AbortController()
  try {
    return await Promise.race([event.then(() => true), delay(ms, false, { signal: timer.signal })])
  } finally {
    timer.abort()
  }
}
