import { type ChildProcess, spawn } from 'node:child_process'
import { open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { makeBriefDirectory } from '../../files/index.ts'
import { waitingFor } from '../../lifetime/index.ts'

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  /** What it finds in `SECRET_FILE`: command lines and environments of programs are for all to read. @default there is no such file */
  readonly secret?: string | undefined
  /** Longest time that it may clean up, when it is ended, before it is killed. In milliseconds. @default 30_000 */
  readonly cleanUpTimeoutMs?: number
}

/** Has no name on a disk, so that nothing of it is left whoever is killed. */
export const SECRET_FILE = '/proc/self/fd/3'

export interface Program extends AsyncDisposable {
  /** The program's output. It fails if the program does, so that half an output never passes for a whole one. */
  readonly output: Readable
  /** The end of what the program wrote to its standard error. */
  messages(): Promise<string>
}

const MESSAGES_BYTES = 4_096
/** Unmounting and removing a tree of files takes seconds. */
const CLEAN_UP_DEADLINE_MS = 30_000

/**
 * Starts a program in a process group of its own. Disposing ends the whole group and waits for it, because bootstrap
 * programs clean up temporary directories and mounts when told to terminate.
 */
export async function startProgram(command: Command): Promise<Program> {
  const { file, args, secret, cleanUpTimeoutMs = CLEAN_UP_DEADLINE_MS } = command
  const log = await openUnnamedFile()
  const secrets = secret === undefined ? undefined : await openUnnamedFile()
  await secrets?.writeFile(secret ?? '')
  const stdio = ['ignore', 'pipe', log.fd, ...(secrets === undefined ? [] : [secrets.fd])] as const
  const child = spawn(file, args, { stdio: [...stdio], detached: true })
  const ended = new Promise<string | undefined>((resolve) => {
    let failure: string | undefined
    child.once('error', (error) => {
      failure = error.message
    })
    child.once('close', (code, signal) => {
      resolve(failure ?? (code === 0 ? undefined : `${file} ended with ${signal ?? `exit code ${code}`}`))
    })
  })
  await secrets?.close()
  const output = Readable.from(wholeOutput(child, ended), { objectMode: false })
  return {
    output,
    messages: async () => {
      const { size } = await log.stat()
      const start = Math.max(0, size - MESSAGES_BYTES)
      const { buffer, bytesRead } = await log.read({ buffer: Buffer.alloc(size - start), position: start })
      return buffer.subarray(0, bytesRead).toString()
    },
    [Symbol.asyncDispose]: async () => {
      using _wait = waitingFor(`${file} to clean up`)
      signalGroup(child, 'SIGTERM')
      const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), cleanUpTimeoutMs)
      output.destroy()
      child.stdout?.destroy()
      await ended
      clearTimeout(timer)
      await log.close()
    },
  }
}

async function* wholeOutput(child: ChildProcess, ended: Promise<string | undefined>): AsyncGenerator<Buffer, void> {
  yield* child.stdout ?? []
  const failure = await ended
  if (failure !== undefined) throw new Error(failure)
}

/**
 * A file without a name, as for the program's messages. Not a pipe: when we are killed, a program that writes to a pipe dies
 * of it, and leaves its mounts, whereas one that cannot write its output any more cleans up.
 */
async function openUnnamedFile() {
  const place = { parent: tmpdir(), purpose: 'what programs say', variable: 'TMPDIR' }
  const directory = await makeBriefDirectory(place)
  try {
    return await open(join(directory, 'file'), 'w+', 0o600)
  } finally {
    await rm(directory, { recursive: true })
  }
}

function signalGroup({ pid, exitCode, signalCode }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return
  try {
    process.kill(-pid, signal)
  } catch {
    // It ended just now.
  }
}
