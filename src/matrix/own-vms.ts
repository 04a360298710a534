import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Isolation } from '../options/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'
import type { OwnVmReply, OwnVmRequest } from '../worker/index.ts'
import type { Fates } from './fates.ts'
import type { RunLogs } from './run-logs.ts'
import type { VmUse } from './shared-vms.ts'

export interface OwnVmsOptions {
  /** The first VM of each entry, which nobody else uses. */
  readonly firsts: readonly Pick<VmUse, 'started'>[]
  /** Whether a VM is its worker's for good, or that of one test file. */
  readonly isolation: Exclude<Isolation, 'project'>
  readonly directory: () => Promise<string>
  readonly fates: Pick<Fates, 'follow'>
  readonly logs: Pick<RunLogs, 'follow' | 'keep'>
}

interface Held {
  readonly started: Promise<StartedKernelVm>
  /** The file that says what becomes of it. */
  readonly fate: Promise<string>
  readonly unwanted: AbortController
  ended?: Promise<void>
}

let count = 0

/**
 * Hands out VMs that somebody has to himself: first the one that is there for each entry, then forks of it. Who asks, on a unix socket,
 * holds the VM by his connection, so that one that is killed gives it back as well.
 */
export class OwnVms implements AsyncDisposable {
  readonly #options: OwnVmsOptions
  readonly #server: Server
  readonly #connections = new Set<Socket>()
  readonly #held = new Set<Held>()
  readonly #ofWorkers = new Map<string, Held>()
  readonly #firstsTaken = new Set<number>()
  #ended: Promise<void> | undefined

  private constructor(options: OwnVmsOptions) {
    this.#options = options
    this.#server = createServer((connection) => this.#serve(connection))
    // The test runner lives for its tests, and ends when they have; so with the connections.
    this.#server.unref()
  }

  static async open(options: OwnVmsOptions): Promise<{ readonly vms: OwnVms; readonly socket: string }> {
    const socket = join(await options.directory(), `vms-${count++}.sock`)
    const vms = new OwnVms(options)
    await new Promise<void>((resolve, reject) => {
      vms.#server.once('error', reject)
      vms.#server.listen(socket, resolve)
    })
    return { vms, socket }
  }

  /** Ends all that were handed out, and hands out no more; memoised. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#ended ??= this.#end()
    return this.#ended
  }

  async #end(): Promise<void> {
    this.#server.close()
    for (const connection of this.#connections) connection.destroy()
    await Promise.all([...this.#held].map((held) => this.#giveBack(held)))
  }

  #serve(connection: Socket): void {
    this.#connections.add(connection)
    connection.unref()
    connection.once('close', () => this.#connections.delete(connection))
    const lines = createInterface({ input: connection })
    // Whoever asks may be killed at any time; readline passes errors of its input on.
    for (const emitter of [connection, lines]) emitter.on('error', () => {})
    lines.once('line', async (line) => {
      const held = this.#handOut(JSON.parse(line) as OwnVmRequest)
      if (this.#options.isolation === 'file') connection.once('close', () => void this.#giveBack(held))
      // Told when there is something to tell, so that nobody has to look twice.
      await held.started.catch(() => {})
      const reply: OwnVmReply = { fate: await held.fate }
      connection.write(`${JSON.stringify(reply)}\n`)
    })
  }

  #handOut({ index, worker }: OwnVmRequest): Held {
    if (this.#options.isolation === 'file') return this.#hold(index)
    const key = `${index} ${worker}`
    const former = this.#ofWorkers.get(key)
    if (former !== undefined) return former
    const held = this.#hold(index)
    this.#ofWorkers.set(key, held)
    // Whoever asks after it has died gets another.
    const forget = () => this.#ofWorkers.delete(key)
    held.started.then(({ gone }) => gone.addEventListener('abort', forget, { once: true })).catch(forget)
    return held
  }

  #hold(index: number): Held {
    const unwanted = new AbortController()
    const started = this.#start(index, unwanted.signal)
    const held: Held = { started, fate: this.#options.fates.follow({ started }), unwanted }
    this.#held.add(held)
    return held
  }

  async #start(index: number, signal: AbortSignal): Promise<StartedKernelVm> {
    const { firsts, logs } = this.#options
    const first = await firsts[index]?.started
    if (first === undefined) throw new Error(`there is no entry ${index}`)
    if (!this.#firstsTaken.has(index) && !first.gone.aborted) {
      this.#firstsTaken.add(index)
      return first
    }
    const vm = await first.fork({ signal })
    await logs.follow(vm)
    return vm
  }

  /** Memoised: the end of a test file and that of the run may meet. */
  #giveBack(held: Held): Promise<void> {
    held.ended ??= this.#endVm(held)
    return held.ended
  }

  async #endVm(held: Held): Promise<void> {
    held.unwanted.abort(new Error('nobody waits for this VM any more'))
    const vm = await held.started.catch(() => undefined)
    if (vm !== undefined) {
      await this.#options.logs.keep(vm)
      await vm.stop()
    }
    this.#held.delete(held)
  }
}
