import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { Duplex } from 'node:stream'

/** Where an engine is that is reached over SSH. What is not given is as OpenSSH's configuration has it. */
export interface SshAddress {
  readonly kind: 'ssh'
  /** A name of OpenSSH's configuration, or a host. */
  readonly host: string
  readonly user?: string
  readonly port?: number
  /** The engine's socket there. @default as the docker command line there has it */
  readonly path?: string
  /** A private directory for the socket at which later connections find the first. @default each connection is one of its own */
  readonly controlDirectory?: string
}

/** Of what ssh and docker say on standard error, so much is kept for the error. */
const STDERR_CHARACTERS = 2_000
/** For the first answer of a host; OpenSSH's own default is the system's, which takes minutes. */
const CONNECT_TIMEOUT_S = 30
/** How long the first connection stays when the last that goes over it has ended. */
const PERSIST_S = 60
/** A host that leaves so many questions, so far apart, without an answer is gone: OpenSSH asks none by itself, and waits for hours. */
const ALIVE_QUESTIONS = 3
const ALIVE_INTERVAL_S = 15
/** `sun_path` without its NUL byte on the system with the shortest; ssh makes the socket under a name 17 characters longer. */
const CONTROL_PATH_MAX_BYTES = 103 - 17
/** OpenSSH's `%C`, a SHA-1 in hexadecimal. */
const CONTROL_NAME_BYTES = 40

/**
 * The arguments of `ssh` for one connection to the engine: those of the docker command line
 * (https://github.com/docker/cli, cli/connhelper), and three of our own. Nothing is asked on the terminal, where a test runner has its
 * display; a host that falls silent is noticed; and connections share one, because a start makes a dozen.
 */
export function sshArguments({ host, user, port, path, controlDirectory }: SshAddress): readonly string[] {
  const control = controlDirectory === undefined ? undefined : join(controlDirectory, '%C')
  // ssh reads the path as it does a line of its configuration: blanks, quotation marks and `%` mean something in it.
  const shared =
    control !== undefined &&
    /^[\w./-]+$/.test(controlDirectory ?? '') &&
    Buffer.byteLength(control) - 2 + CONTROL_NAME_BYTES <= CONTROL_PATH_MAX_BYTES
      ? ['-o', 'ControlMaster=auto', '-o', `ControlPath=${control}`, '-o', `ControlPersist=${PERSIST_S}`]
      : []
  const alive = ['-o', `ServerAliveInterval=${ALIVE_INTERVAL_S}`, '-o', `ServerAliveCountMax=${ALIVE_QUESTIONS}`]
  return [
    ...['-o', `ConnectTimeout=${CONNECT_TIMEOUT_S}`, '-o', 'BatchMode=yes', ...alive, ...shared, '-T'],
    ...(user === undefined ? [] : ['-l', user]),
    ...(port === undefined ? [] : ['-p', String(port)]),
    ...['--', host, 'docker', ...(path === undefined ? [] : ['--host', `unix://${path}`]), 'system', 'dial-stdio'],
  ]
}

/** Connects to an engine with the machine's own `ssh`: its configuration, agent, known hosts and jump hosts are the user's. */
export function dialOverSsh(address: SshAddress): ProgramStream {
  if (address.controlDirectory !== undefined) mkdirSync(address.controlDirectory, { recursive: true, mode: 0o700 })
  return new ProgramStream(spawn('ssh', sshArguments(address), { stdio: 'pipe' }), 'ssh')
}

/** What a program reads and writes, as a connection; ends with it. One that ends without a word is an error, with its standard error. */
class ProgramStream extends Duplex {
  readonly #program: ChildProcessWithoutNullStreams
  #said = ''
  #hasOutput = false

  constructor(program: ChildProcessWithoutNullStreams, name: string) {
    // The program has both directions: nothing takes what is written once it has ended.
    super({ allowHalfOpen: false })
    this.#program = program
    program.stdin.on('error', () => {})
    program.stderr.setEncoding('utf8').on('data', (piece: string) => {
      this.#said = (this.#said + piece).slice(0, STDERR_CHARACTERS)
    })
    program.stdout.on('data', (piece: Buffer) => {
      this.#hasOutput = true
      if (!this.push(piece)) program.stdout.pause()
    })
    program.once('error', (error) => this.destroy(error))
    // Not at `close`, for which a connection that others share has to end as well: it keeps standard error.
    program.stdout.once('end', () => {
      if (this.#hasOutput) this.push(null)
    })
    program.once('exit', (status, signal) => {
      const silent = () => {
        const said = this.#said.trim() || `${name} ended without a word (${signal ?? `status ${status}`})`
        // As of a socket that was not connected: it is told as that.
        if (!this.#hasOutput) this.destroy(Object.assign(new Error(said), { syscall: 'connect' }))
      }
      if (program.stdout.readableEnded) setImmediate(silent)
      else program.stdout.once('end', () => setImmediate(silent))
    })
  }

  /** As a socket's: whether it keeps this process alive. */
  ref(): this {
    for (const handle of this.#handles) handle.ref()
    return this
  }

  unref(): this {
    for (const handle of this.#handles) handle.unref()
    return this
  }

  get #handles(): readonly { ref(): unknown; unref(): unknown }[] {
    const { stdin, stdout, stderr } = this.#program
    // Node's pipes are sockets, which its types do not say.
    return [this.#program, ...([stdin, stdout, stderr] as unknown as Socket[])]
  }

  override _read(): void {
    this.#program.stdout.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    // A program that has ended takes nothing; why, its end tells.
    if (this.#program.stdin.destroyed) done()
    else this.#program.stdin.write(chunk, () => done())
  }

  override _final(done: () => void): void {
    if (this.#program.stdin.destroyed) done()
    else this.#program.stdin.end(() => done())
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#program.kill()
    done(error)
  }
}
