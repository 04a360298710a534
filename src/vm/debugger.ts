import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { reasonOf } from '../errors/index.ts'
import { replaceFileBy } from '../files/index.ts'
import { startDeadline } from '../lifetime/index.ts'
import type { Logger } from '../log/index.ts'
import type { KernelEntry } from '../options/index.ts'
import { dumpMemory, imagePaths, type Machine, type QmpEvent, quit, stayAtGuestsEnd } from '../qemu/index.ts'
import type { BootedVm } from './boot/booted-vm.ts'
import { VmcoreNotSavedError } from './errors.ts'
import { type VmcoreFacts, type VmcoreProgress, writeVmcore } from './vmcore-file.ts'

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

interface DebuggerParts {
  readonly booted: BootedVm
  /** Which a guest that stands still does not have. */
  readonly heartbeat: { pause(): Disposable }
  readonly entry: KernelEntry
  readonly machine: Machine
  readonly log: Logger
}

/** Beside the guest's RAM: that of its firmware. */
const FIRMWARE_BYTES = 64 * 1024 ** 2
/** A disk that takes a block of the memory, and an engine that passes it on, take less, however busy their machines are. */
const STALLED_MS = 60_000

/**
 * Reads a pipe for the owner, until his end of the input. While it is there, QEMU can open the pipe at once; when it is not any more, QEMU's
 * writing fails, and its guest goes on.
 */
const READ_PIPE = `mkfifo -m 600 "$1" && exec 3<>"$1" && echo ok || exit 1
cat <&3 & reader=$!
cat >/dev/null
kill $reader
rm -f "$1"`

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
    const { control, gone } = booted.guest
    return await this.#inTurn(async () => {
      using _pause = heartbeat.pause()
      const saved = await this.#save(path, options)
      // A guest that ends in this moment does not answer any more.
      const over = AbortSignal.any([gone, this.#stopped.signal, this.#ended.signal])
      await control.setClock(over).catch(() => gone.throwIfAborted())
      return saved
    })
  }

  /**
   * From now on, a panic of the guest's kernel, or a reset that it did not announce, has its memory saved as `saveVmcore` does, before the VM's
   * end is told. Where that fails, the log says so. Forks have it no more than they have other things of this VM. The last path counts.
   * @throws QemuCommandError
   */
  async saveVmcoreAtPanic(path: string, options: VmcoreOptions = {}): Promise<void> {
    const { guest } = this.#parts.booted
    const isFirst = this.#atPanic === undefined
    this.#atPanic = { ...options, path: resolve(path) }
    if (!isFirst) return
    guest.monitor.onEvent((event) => this.#hear(event))
    await stayAtGuestsEnd(guest.monitor)
  }

  /** Resolves when no memory is being saved, and tells whether the guest has ended, with its memory saved where that was asked for. */
  async settled(): Promise<'runs' | 'ended'> {
    await this.#lastTurn
    return this.#ended.signal.aborted ? 'ended' : 'runs'
  }

  #hear({ event, data }: QmpEvent): void {
    // One that is told to end does not stay.
    if (event !== 'SHUTDOWN' || data?.['guest'] !== true) return
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
      await quit(monitor).catch(() => {})
      const over = AbortSignal.any([gone, this.#stopped.signal])
      if (!over.aborted) await once(over, 'abort')
    }
  }

  async #save(path: string, { signal, onProgress }: VmcoreOptions): Promise<SavedVmcore> {
    const { booted, entry } = this.#parts
    const { gone } = booted.guest
    const calledOff = AbortSignal.any([this.#stopped.signal, gone, ...(signal === undefined ? [] : [signal])])
    calledOff.throwIfAborted()
    const target = resolve(path)
    try {
      return { path: target, ...(await this.#saveTo(target, { signal: calledOff, onProgress })) }
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

  /** Through a pipe: nothing of it is on the engine's disk, wherever that is. */
  async #saveTo(
    path: string,
    { signal, onProgress }: VmcoreOptions & { readonly signal: AbortSignal },
  ): Promise<VmcoreFacts> {
    const { booted, machine } = this.#parts
    const { box, monitor } = booted.guest
    const { arch, memoryMib } = machine
    const pipe = `${imagePaths.scratchDirectory}/vmcore-${randomBytes(4).toString('hex')}`
    return await replaceFileBy(path, async (file) => {
      using deadline = startDeadline({
        ms: STALLED_MS,
        onPassed: () => new Error(`nothing of it came for ${STALLED_MS / 1000} s`),
        signal,
      })
      const reader = await box.exec(['sh', '-c', READ_PIPE, 'sh', pipe], deadline.signal)
      const end = () => void reader.destroy()
      deadline.signal.addEventListener('abort', end, { once: true })
      const written = writeVmcore(reader.iterator({ destroyOnReturn: false }), file, {
        kernel: arch.kernel,
        maxBytes: memoryMib * 1024 ** 2 + FIRMWARE_BYTES,
        onProgress: (progress) => {
          deadline.restart()
          onProgress?.(progress)
        },
      })
      const dumped = dumpMemory(monitor.until(deadline.signal), pipe)
      try {
        const [facts] = await Promise.all([written, dumped])
        return facts
      } catch (thrown) {
        deadline.signal.throwIfAborted()
        throw thrown
      } finally {
        // Where one failed, this ends the other.
        end()
        await Promise.allSettled([written, dumped])
      }
    })
  }
}
