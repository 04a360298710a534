import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { reasonOf } from '../errors/index.ts'
import { replaceFileBy } from '../files/index.ts'
import { carry, listenPrivately } from '../forward/index.ts'
import { startDeadline } from '../lifetime/index.ts'
import type { Logger } from '../log/index.ts'
import type { KernelEntry } from '../options/index.ts'
import { imagePaths, type Machine, type QmpEvent, quit, resume, startGdbStub, stayAtGuestsEnd } from '../qemu/index.ts'
import type { BootedVm } from './boot/booted-vm.ts'
import { VmcoreNotSavedError } from './errors.ts'
import { type LoadedSymbols, loadedSymbols } from './symbols.ts'
import { receiveVmcore, type VmcoreFacts, type VmcoreProgress } from './vmcore-file.ts'

export interface VmcoreOptions {
  /** Calls it off. */
  readonly signal?: AbortSignal | undefined
  /** Called when some of the memory was written. */
  readonly onProgress?: ((progress: VmcoreProgress) => void) | undefined
}

export interface SavedVmcore extends VmcoreFacts {
  /** Absolute. */
  readonly path: string
}

export interface DebuggerParts {
  readonly booted: BootedVm
  /** Which a guest that stands still does not have. */
  readonly heartbeat: { pause(): Disposable }
  readonly entry: KernelEntry
  readonly machine: Machine
  /** The image with the kernel's debug information, where there is any. */
  readonly debugInfo: string | undefined
  readonly log: Logger
}

/** QEMU's, in the run directory, and ours beside it. */
const STUB_SOCKET = 'gdb-stub.sock'
const GDB_SOCKET = 'gdb.sock'

/** A guest that runs answers at once. */
const CLOCK_MS = 10_000

/** Where gdb finds a guest, as long as the VM lives. */
export interface GdbServer extends LoadedSymbols {
  /** Path of a unix socket (mode 0600), as `target remote PATH` takes it. */
  readonly socket: string
  /**
   * Where its debug information is, of a kernel from source that has some: a directory of an image in the engine's store, with `vmlinux` and
   * `modules/NAME.ko`.
   */
  readonly debugInfo?: { readonly image: string; readonly path: string } | undefined
}

/** What helps to find out what is wrong with the kernel of a VM. */
export class VmDebugger {
  readonly #parts: DebuggerParts
  /** Where its memory goes when its kernel ends; undefined as long as nobody wants it. */
  #atPanic: (VmcoreOptions & { readonly path: string }) | undefined
  /** QEMU writes the memory once at a time. */
  #lastTurn: Promise<unknown> = Promise.resolve()
  /** Aborts when the guest has ended, and its QEMU stays. */
  readonly #ended = new AbortController()
  readonly #stopped = new AbortController()
  /** Asked of QEMU once. */
  #stays: Promise<unknown> | undefined
  #listens = false
  #gdb: Promise<Omit<GdbServer, keyof LoadedSymbols>> | undefined

  constructor(parts: DebuggerParts) {
    this.#parts = parts
    parts.booted.disposals.defer('debugger', async () => {
      this.#stopped.abort(new Error('the VM was stopped'))
      await this.#lastTurn
    })
  }

  /**
   * Saves the guest's memory and the state of its processors as a file (mode 0600), an ELF core that `crash`, drgn and gdb read. The VM stands still
   * meanwhile, and then goes on. The file is as large as the guest's RAM, and takes as much room as the guest has used of it; it has all secrets
   * that were in that.
   * @param path replaces a file that is there, when all is written; of one that cannot be written, nothing stays
   * @throws VmcoreNotSavedError; what the VM died of; the signal's reason
   */
  async saveVmcore(path: string, options: VmcoreOptions = {}): Promise<SavedVmcore> {
    const { booted, heartbeat } = this.#parts
    return await this.#inTurn(async () => {
      using _pause = heartbeat.pause()
      try {
        return await this.#save(path, options)
      } finally {
        // It has stood still, whatever came of it.
        await setClock(booted.guest, AbortSignal.any([this.#stopped.signal, this.#ended.signal]))
      }
    })
  }

  /**
   * From now on, a panic of the guest's kernel, or a reset that it did not announce, has its memory saved as `saveVmcore` does, before the VM's
   * end is told. Where that fails, the log says so. Forks have it no more than they have other things of this VM. The last path counts.
   * @throws QemuCommandError
   */
  async saveVmcoreAtPanic(path: string, options: VmcoreOptions = {}): Promise<void> {
    const { guest } = this.#parts.booted
    this.#atPanic = { ...options, path: resolve(path) }
    if (!this.#listens) guest.monitor.onEvent((event) => this.#hear(event))
    this.#listens = true
    this.#stays ??= stayAtGuestsEnd(guest.monitor).catch((thrown) => {
      this.#stays = undefined
      throw thrown
    })
    await this.#stays
  }

  /**
   * Lets gdb at the guest's processors and memory. The VM stands still while gdb is connected, and goes on when gdb leaves. One gdb at a
   * time; a second call gives the same socket, and the modules that are loaded then.
   * @throws QemuCommandError; ForwardListenError and its kin; what the VM died of
   */
  async openGdb(): Promise<GdbServer> {
    const { booted, entry } = this.#parts
    // Before gdb is there, and the guest stands still.
    const symbols = await loadedSymbols({ ...booted, entry: entry.name })
    this.#gdb ??= openGdb(this.#parts, this.#stopped.signal).catch((thrown) => {
      this.#gdb = undefined
      throw thrown
    })
    return { ...(await this.#gdb), ...symbols }
  }

  /** Resolves when no memory is being saved, and tells whether the guest has ended, with its memory saved where that was asked for. */
  async settled(): Promise<'runs' | 'ended'> {
    await this.#lastTurn
    return this.#ended.signal.aborted ? 'ended' : 'runs'
  }

  #hear({ event, data }: QmpEvent): void {
    // One that is told to end does not stay.
    if (this.#stays === undefined || event !== 'SHUTDOWN' || data?.['guest'] !== true) return
    // For good: it answers nobody any more.
    this.#parts.heartbeat.pause()
    this.#ended.abort(new Error('the guest has ended'))
    void this.#inTurn(() => this.#end(String(data['reason'])))
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(work)
    this.#lastTurn = turn.catch(() => {})
    return await turn
  }

  /** The guest has ended, and its QEMU has stayed for this. */
  async #end(reason: string): Promise<void> {
    const { log, booted } = this.#parts
    const { control, monitor, gone } = booted.guest
    try {
      const isAnnounced = control.ended !== undefined || reason === 'guest-shutdown'
      if (this.#atPanic === undefined || isAnnounced) return
      const { path, ...options } = this.#atPanic
      log.info(`the guest's kernel ended: saving its memory to ${path}`)
      await this.#save(path, options)
      log.info(`its memory is in ${path}`)
    } catch (thrown) {
      if (!this.#stopped.signal.aborted) log.warn(reasonOf(thrown))
    } finally {
      // Then others tell of its end.
      await quit(monitor.until(this.#stopped.signal)).catch(() => {})
      const over = AbortSignal.any([gone, this.#stopped.signal])
      if (!over.aborted) await once(over, 'abort')
    }
  }

  async #save(path: string, { signal, onProgress }: VmcoreOptions): Promise<SavedVmcore> {
    const { booted, entry, machine } = this.#parts
    const { gone } = booted.guest
    const calledOff = AbortSignal.any([this.#stopped.signal, gone, ...(signal === undefined ? [] : [signal])])
    calledOff.throwIfAborted()
    const target = resolve(path)
    try {
      const receiving = { signal: calledOff, onProgress }
      const facts = await replaceFileBy(target, (file) => receiveVmcore(booted.guest, file, { machine, ...receiving }))
      return { path: target, ...facts }
    } catch (thrown) {
      calledOff.throwIfAborted()
      throw new VmcoreNotSavedError({
        what: `the memory of the VM cannot be saved to ${target}`,
        entry: entry.name,
        cause: thrown,
        remedy: 'see the cause: a directory that is not there or cannot be written, or a disk without room',
      })
    }
  }
}

async function openGdb(parts: DebuggerParts, stopped: AbortSignal): Promise<Omit<GdbServer, keyof LoadedSymbols>> {
  const { booted, entry, debugInfo, log } = parts
  const { guest, runDirectory, gone, disposals } = booted
  await startGdbStub(guest.monitor, `${imagePaths.runDirectory}/${STUB_SOCKET}`)
  const socket = join(runDirectory.path, GDB_SOCKET)
  const over = AbortSignal.any([gone, stopped])
  // One that waits for its turn, and gives up, must not let the guest go on under the one that has it.
  let connected = 0
  const left = async () => {
    if (--connected === 0) await goOn(guest, over)
  }
  const listener = await listenPrivately({
    path: socket,
    directoryOwner: runDirectory.owner.uid,
    entry: entry.name,
    onSocket: (connection) => {
      const pause = parts.heartbeat.pause()
      connected++
      connection.once('close', () => void left().finally(() => pause[Symbol.dispose]()))
      carry(connection, () => guest.box.dial(STUB_SOCKET, over))
    },
    onError: (error) => log.warn(`gdb's socket: ${error.message}`),
  })
  disposals.defer('gdb', listener.close)
  return {
    socket,
    debugInfo: debugInfo === undefined ? undefined : { image: debugInfo, path: imagePaths.debugInfo },
  }
}

/** QEMU stops its guest for gdb. One that leaves without a word would leave it so. */
async function goOn(guest: BootedVm['guest'], over: AbortSignal): Promise<void> {
  // One that is over is told of by others.
  await resume(guest.monitor.until(over)).catch(() => {})
  await setClock(guest, over)
}

/** Gives a guest that stood still the time of now; one that has ended, or stands still for gdb, does not answer. */
async function setClock({ control, gone }: BootedVm['guest'], over: AbortSignal): Promise<void> {
  using deadline = startDeadline({
    ms: CLOCK_MS,
    onPassed: () => new Error(`the guest did not answer within ${CLOCK_MS / 1000} s`),
    signal: AbortSignal.any([gone, over]),
  })
  await control.setClock(deadline.signal).catch(() => {})
}
