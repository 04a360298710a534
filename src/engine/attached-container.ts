import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import pRetry from 'p-retry'
import { reasonOf, TestkernelsError } from '../errors/index.ts'
import { Disposals, neverAborted, orAborted } from '../lifetime/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import type { Engine } from './connect.ts'
import { type ContainerExit, type ContainerFate, followContainer } from './container-events.ts'
import type { ContainerOptions } from './container-options.ts'
import { containerFailure } from './container-options.ts'
import {
  attachToContainer,
  createContainer,
  REMOVAL_TIMEOUT_MS,
  removeContainer,
  startContainer,
} from './containers.ts'
import { ContainerNotRemovedError, ContainerNotStartedError } from './errors.ts'
import { joinNetwork, nameOnNetwork, nameTaken } from './networks.ts'
import { createDemultiplexer, LineBuffer, type LineStream } from './output.ts'
import { freeName } from './prune.ts'
import { statusOf } from './request.ts'

/**
 * A running container whose life hangs on this process: we hold the only stream to its stdin, so when we die, even by
 * SIGKILL, the engine closes that stdin. The program inside must end when it reads the end of it; the engine then removes
 * the container.
 */
export interface AttachedContainer extends AsyncDisposable {
  readonly id: string
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

/** How often a container is made that somebody removes before it was started. */
const MAKES = 3

/**
 * Creates, attaches and starts, in this order, so that we are attached in every moment of the container's life. What a
 * SIGKILL between creating and starting leaves is a container that never ran; `prune` removes it. Nobody can tell it from ours if that is
 * not started for a minute, on a machine that was suspended, say: then another is made.
 * @throws ContainerNotStartedError, DeviceMissingError, ImageMissingError
 */
export async function runAttached(
  engine: Engine,
  options: ContainerOptions,
  { log = silentLogger, signal = neverAborted() }: RunOptions = {},
): Promise<AttachedContainer> {
  for (let makes = 1; ; makes++) {
    try {
      return await runOnce(engine, options, { log, signal })
    } catch (thrown) {
      if (makes === MAKES || !wasRemoved(thrown, options)) throw thrown
      log.debug(`a container of ${options.image} was removed before it was started; making another`)
    }
  }
}

/**
 * Whether the engine has no more a container that it has just made, or the network that this is to be on. It says no such thing of an image, or
 * of a program that is not in it.
 */
function wasRemoved(failure: unknown, { joins }: ContainerOptions): boolean {
  const cause = failure instanceof ContainerNotStartedError ? failure.cause : undefined
  const status = statusOf(cause)
  const reason = reasonOf(cause)
  if (status !== 404 && status !== 409) return false
  if (joins !== undefined && /network \S+ not found/i.test(reason)) return true
  return /no such container|marked for removal/i.test(reason)
}

async function runOnce(
  engine: Engine,
  options: ContainerOptions,
  { log, signal }: Required<RunOptions>,
): Promise<AttachedContainer> {
  await using starting = new Disposals()
  const attempt = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await orAborted(work, signal)
    } catch (cause) {
      signal.throwIfAborted()
      if (cause instanceof TestkernelsError) throw cause
      const taken = options.joins && nameTaken(options.joins, cause, options.entry)
      throw taken ?? containerFailure({ arch: engine.arch, ...options }, cause)
    }
  }
  /** Registers the clean-up before the work is done: an abort does not stop the work, only our waiting for it. */
  const acquire = <T>(name: string, work: Promise<T>, release: (resource: T) => unknown): Promise<T> => {
    starting.defer(name, () => work.then(release, () => {}))
    return attempt(work)
  }

  const id = await acquire('container', create(engine, options, signal), (made) => removeContainer(engine, made))
  const { joins, labels, entry } = options
  const [fate, stdin] = await Promise.all([
    acquire('events', followContainer(engine, id), ({ unfollow }) => unfollow()),
    acquire('attach stream', attachToContainer(engine, id), (stream) => stream.destroy()),
    // The network goes after the container: what still joins it would make it anew.
    joins && acquire('network', joinNetwork(engine, id, { joins, labels, entry }), () => {}),
  ])
  const stdout = new LineBuffer()
  const stderr = new LineBuffer()
  const outputEnded = readOutput(stdin, { stdout, stderr })
  await attempt(startContainer(engine, id))
  log.debug(`container ${id.slice(0, 12)} of ${options.image} runs`)

  starting.move()
  const exited = fate.exited.then(async (exit) => {
    await Promise.race([outputEnded, fate.removed])
    return exit
  })
  let stopping: Promise<ContainerExit> | undefined
  const stop = () => {
    stopping ??= end({ engine, id, fate, stdin, graceMs: options.stopGraceMs ?? DEFAULT_STOP_GRACE_MS, log }).then(
      () => exited,
    )
    return stopping
  }
  return {
    id,
    stdout,
    stderr,
    send: (chunks) => send(chunks, { stdin, exited }),
    exited,
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  }
}

/** A box whose owner was killed has its name until its guest has ended, which takes less. */
const NAME_DEADLINE_MS = 15_000

/** Creates a container, when what was left of another one no longer has its name on the network. */
function create(engine: Engine, options: ContainerOptions, signal: AbortSignal): Promise<string> {
  return pRetry(() => createContainer(engine, options), {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 100,
    maxTimeout: 1_000,
    maxRetryTime: NAME_DEADLINE_MS,
    shouldRetry: async ({ error }) => {
      const { joins } = options
      if (joins === undefined || signal.aborted || nameTaken(joins, error) === undefined) return false
      return (await freeName(engine, nameOnNetwork(joins))) !== 'held'
    },
  })
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

interface Ending {
  readonly engine: Engine
  readonly id: string
  readonly fate: ContainerFate
  readonly stdin: Duplex
  readonly graceMs: number
  readonly log: Logger
}

async function end({ engine, id, fate, stdin, graceMs, log }: Ending): Promise<void> {
  stdin.end()
  try {
    if (await happensWithin(fate.removed, graceMs)) return
    log.debug(`container ${id.slice(0, 12)} did not end within ${graceMs} ms of its stdin; killing it`)
    await removeContainer(engine, id).catch((cause) => {
      // It cannot kill what hangs in the kernel.
      throw statusOf(cause) === undefined ? cause : notRemoved(id, cause)
    })
    if (await happensWithin(fate.removed, REMOVAL_TIMEOUT_MS)) return
    throw notRemoved(id)
  } finally {
    fate.unfollow()
    stdin.destroy()
  }
}

function notRemoved(id: string, cause?: unknown): ContainerNotRemovedError {
  const within = cause === undefined ? ` within ${REMOVAL_TIMEOUT_MS / 1_000} s` : ''
  return new ContainerNotRemovedError({
    what: `the engine did not remove the container ${id.slice(0, 12)}${within}`,
    remedy: `remove it with \`docker rm -f ${id.slice(0, 12)}\`, and see the engine's log`,
    cause,
  })
}

async function happensWithin(event: Promise<void>, ms: number): Promise<boolean> {
  const timer = new AbortController()
  try {
    return await Promise.race([event.then(() => true), delay(ms, false, { signal: timer.signal })])
  } finally {
    timer.abort()
  }
}
