import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { TestkernelsError } from '../errors/index.ts'
import type { OwnVmSource } from './provided.ts'

/** The process that keeps the VMs hands out none. */
export class NoVmHandedOutError extends TestkernelsError {
  readonly code = 'NO_VM_HANDED_OUT'
}

/** What a worker asks, in one line of JSON. The VM is its own as long as the connection is. */
export interface OwnVmRequest {
  readonly index: number
  /** Tells the test runner's workers apart. */
  readonly worker: string
}

/** The answer, in one line of JSON. */
export interface OwnVmReply {
  /** The file that says what becomes of the VM. */
  readonly fate: string
}

/** Asks for a VM. @throws NoVmHandedOutError */
export async function askForVm(
  { socket: path, index, name }: OwnVmSource,
  worker: string,
): Promise<{ readonly fate: string; readonly release: () => void }> {
  const socket = connect(path)
  const release = () => void socket.destroy()
  try {
    const request: OwnVmRequest = { index, worker }
    socket.write(`${JSON.stringify(request)}\n`)
    const { fate } = JSON.parse(await firstLine(socket)) as OwnVmReply
    // Whoever holds a VM lives for the sake of its tests, and not of this connection.
    socket.unref()
    return { fate, release }
  } catch (cause) {
    release()
    throw new NoVmHandedOutError({
      what: 'no VM could be had from the process that keeps them',
      entry: name,
      cause,
      remedy: 'see whether the test run was ended meanwhile',
    })
  }
}

function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: socket })
    lines.once('line', resolve)
    lines.once('close', () => reject(new Error('it closed the connection')))
    // For good: a connection that breaks later is no news, the VM's fate is. readline passes errors of its input on.
    for (const emitter of [socket, lines]) emitter.on('error', reject)
  })
}
