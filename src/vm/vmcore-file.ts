import { randomBytes } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { orAborted, startDeadline } from '../lifetime/index.ts'
import { dumpMemory, imagePaths, type Machine } from '../qemu/index.ts'
import type { Guest } from './boot/booted-vm.ts'
import { assembleHead, type Head, type KernelAtCore, PAGE_BYTES, parseHead, vmcoreinfoIn } from './vmcore-head.ts'

const BLOCK_BYTES = 256 * PAGE_BYTES
const EMPTY_PAGE = Buffer.alloc(PAGE_BYTES)

export interface WriteOptions {
  /** Of the guest's architecture. */
  readonly kernel: KernelAtCore
  /** Of the guest's RAM and little more: whoever has taken over a QEMU shall not fill the disk. */
  readonly maxBytes: number
  /** Called when some of the memory was written. */
  readonly onProgress: (progress: VmcoreProgress) => void
}

export interface VmcoreProgress {
  readonly writtenBytes: number
  readonly totalBytes: number
}

/** What is known of a file that was written. */
export interface VmcoreFacts {
  /** Of the file; pages of zeros are holes in it, and take no room. */
  readonly sizeBytes: number
  /** Whether the kernel's VMCOREINFO is among its notes: without it, debuggers do not know where a kernel with KASLR is. */
  readonly hasVmcoreinfo: boolean
}

/** Beside the guest's RAM: that of its firmware. */
const FIRMWARE_BYTES = 64 * 1024 ** 2
/** A disk that takes a block of the memory, and an engine that passes it on, take less, however busy their machines are. */
const STALLED_MS = 60_000
/** From when nobody reads any more until QEMU has noticed, which it does at its next write. */
const ENDING_MS = 5_000

/**
 * Reads a pipe for the owner, until his end of the input. While it is there, QEMU can open the pipe at once; when it is not any more, QEMU's
 * writing fails, and its guest goes on. One that opens it only then finds a directory: it would make a file, with all its memory.
 */
const READ_PIPE = `mkfifo -m 600 "$1" && exec 3<>"$1" && echo ok || exit 1
cat <&3 & reader=$!
cat >/dev/null
kill $reader
rm -f "$1"
mkdir "$1"`

export interface ReceiveOptions {
  readonly machine: Machine
  /** Calls it off. */
  readonly signal: AbortSignal
  readonly onProgress?: WriteOptions['onProgress'] | undefined
}

/**
 * Has QEMU write its guest's memory, and takes it. Through a pipe: nothing of it is on the engine's disk, wherever that is.
 * @throws as `writeVmcore`; QemuCommandError; the signal's reason; Error when nothing comes for a minute
 */
export async function receiveVmcore(
  { box, monitor }: Pick<Guest, 'box' | 'monitor'>,
  file: FileHandle,
  { machine, signal, onProgress }: ReceiveOptions,
): Promise<VmcoreFacts> {
  const pipe = `${imagePaths.scratchDirectory}/vmcore-${randomBytes(4).toString('hex')}`
  using deadline = startDeadline({
    ms: STALLED_MS,
    onPassed: () => new Error(`nothing of it came for ${STALLED_MS / 1000} s`),
    signal,
  })
  const reader = await box.exec(['sh', '-c', READ_PIPE, 'sh', pipe], deadline.signal)
  const end = () => void reader.destroy()
  deadline.signal.addEventListener('abort', end, { once: true })
  const written = writeVmcore(reader.iterator({ destroyOnReturn: false }), file, {
    kernel: machine.arch.kernel,
    maxBytes: machine.memoryMib * 1024 ** 2 + FIRMWARE_BYTES,
    onProgress: (progress) => {
      deadline.restart()
      onProgress?.(progress)
    },
  })
  const dumped = dumpMemory(monitor, pipe)
  try {
    const [facts] = await orAborted(Promise.all([written, dumped]), deadline.signal)
    return facts
  } catch (thrown) {
    // What fails first when it is called off is chance.
    deadline.signal.throwIfAborted()
    throw thrown
  } finally {
    // Where one failed, or both are called off, this ends the other: QEMU writes to nobody, and its guest goes on.
    end()
    using ending = startDeadline({ ms: ENDING_MS, onPassed: () => new Error('QEMU still writes') })
    await orAborted(Promise.allSettled([written, dumped]), ending.signal).catch(() => {})
  }
}

/**
 * Makes a file for `crash`, drgn and gdb of the ELF core that QEMU writes. The note VMCOREINFO, with which a kernel tells debuggers where it is and how
 * its structures look, is found in its memory, where each has it that can be debugged so, and put among the notes: neither a device
 * nor the guest's help is needed, and a guest that panicked has it, too.
 * @param dump is read as far as the memory's end, and stays open
 * @throws what reading and writing throw; Error for what is no core of a guest
 */
export async function writeVmcore(dump: AsyncIterable<Buffer>, file: FileHandle, options: WriteOptions) {
  const writer = new VmcoreWriter(file, options)
  for await (const chunk of dump) {
    await writer.take(chunk)
    if (writer.isWhole) return await writer.finish()
  }
  throw new Error('what QEMU sent ends too soon')
}

class VmcoreWriter {
  readonly #file: FileHandle
  readonly #options: WriteOptions
  #received = Buffer.alloc(0)
  #head: Head | undefined
  readonly #block = Buffer.alloc(BLOCK_BYTES)
  #blockBytes = 0
  #written = 0
  #note: Buffer | undefined

  constructor(file: FileHandle, options: WriteOptions) {
    this.#file = file
    this.#options = options
  }

  get isWhole(): boolean {
    return this.#head !== undefined && this.#written === this.#head.memoryBytes
  }

  async take(chunk: Buffer): Promise<void> {
    if (this.#head !== undefined) return await this.#takeMemory(chunk, this.#head)
    this.#received = Buffer.concat([this.#received, chunk])
    const head = parseHead(this.#received, this.#options)
    if (head === undefined) return
    this.#head = head
    await this.#takeMemory(this.#received.subarray(head.bytes), head)
  }

  /** The head is written last: a file that is not whole is no core. */
  async finish(): Promise<VmcoreFacts> {
    if (this.#head === undefined) throw new Error('what QEMU sent has no head')
    const { memoryAt, memoryBytes } = this.#head
    const sizeBytes = memoryAt + memoryBytes
    await this.#write(assembleHead(this.#head, this.#note, this.#options.kernel), 0)
    await this.#file.truncate(sizeBytes)
    return { sizeBytes, hasVmcoreinfo: this.#note !== undefined }
  }

  /** What comes after the memory is a table of names, which a core does not need. */
  async #takeMemory(chunk: Buffer, head: Head): Promise<void> {
    for (let at = 0; at < chunk.length && !this.isWhole; ) {
      const wanted = Math.min(BLOCK_BYTES, head.memoryBytes - this.#written)
      const copied = chunk.copy(this.#block, this.#blockBytes, at, at + wanted - this.#blockBytes)
      at += copied
      this.#blockBytes += copied
      if (this.#blockBytes === wanted) await this.#writeBlock(head)
    }
  }

  async #writeBlock({ memoryAt, memoryBytes }: Head): Promise<void> {
    const block = this.#block.subarray(0, this.#blockBytes)
    let from = 0
    for (let at = 0; at < block.length; at += PAGE_BYTES) {
      const page = block.subarray(at, at + PAGE_BYTES)
      this.#note ??= vmcoreinfoIn(page)
      if (!page.equals(EMPTY_PAGE)) continue
      await this.#write(block.subarray(from, at), memoryAt + this.#written + from)
      from = at + PAGE_BYTES
    }
    await this.#write(block.subarray(from), memoryAt + this.#written + from)
    this.#written += block.length
    this.#blockBytes = 0
    this.#options.onProgress({ writtenBytes: this.#written, totalBytes: memoryBytes })
  }

  async #write(data: Buffer, position: number): Promise<void> {
    for (let at = 0; at < data.length; ) {
      const { bytesWritten } = await this.#file.write(data, at, data.length - at, position + at)
      at += bytesWritten
    }
  }
}
