import { createHash, type Hash, randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { NotFound, Refusal } from './services.ts'

/** Well below what the engine takes in one message, 4 MiB at least. */
const CHUNK_BYTES = 256 * 1024

export interface BlobPart {
  readonly offset: bigint
  readonly data: Uint8Array
}

/** The blobs of a directory in OCI's image layout: `blobs/sha256/HEX`, and `ingest/` for those on their way. */
export class Blobs {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Size and time of a blob; undefined where there is none. */
  async find(digest: string): Promise<{ readonly size: number; readonly storedAt: Date } | undefined> {
    const found = await stat(this.#path(digest)).catch(() => undefined)
    return found && { size: found.size, storedAt: found.mtime }
  }

  /**
   * `size` bytes from `offset` on, or all that follow when `size` is 0.
   * @throws NotFound
   */
  async *read(digest: string, { offset, size }: { offset: number; size: number }): AsyncGenerator<BlobPart> {
    if (!Number.isSafeInteger(offset) || offset < 0)
      throw new Refusal(status.OUT_OF_RANGE, `no content begins at ${offset}`)
    const file = await open(this.#path(digest)).catch(() => undefined)
    if (file === undefined) throw new NotFound(`no content ${digest}`)
    try {
      const end = size > 0 ? offset + size : Number.POSITIVE_INFINITY
      for (let at = offset; at < end; ) {
        const length = Math.min(CHUNK_BYTES, end - at)
        const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, at)
        if (bytesRead === 0) return
        yield { offset: BigInt(at), data: buffer.subarray(0, bytesRead) }
        at += bytesRead
      }
    } finally {
      await file.close()
    }
  }

  async ingest(): Promise<Ingest> {
    await mkdir(join(this.#directory, 'blobs/sha256'), { recursive: true })
    await mkdir(join(this.#directory, 'ingest'), { recursive: true })
    return Ingest.open(join(this.#directory, 'ingest', randomBytes(16).toString('hex')))
  }

  /** Ends an ingest with the blob under its digest. */
  commit(ingest: Ingest, expected: { size: number; digest: string }): Promise<string> {
    return ingest.commit(expected, (digest) => this.#path(digest))
  }

  /** @throws Refusal: the engine names digests, and must not name other files by them */
  #path(digest: string): string {
    if (!/^sha256:[0-9a-f]{64}$/.test(digest))
      throw new Refusal(status.INVALID_ARGUMENT, `${JSON.stringify(digest)} is no sha256 digest`)
    return join(this.#directory, 'blobs/sha256', digest.slice('sha256:'.length))
  }
}

/** A blob on its way into a store. It gets its name only when it is complete, and what it was said to be. */
export class Ingest implements AsyncDisposable {
  readonly startedAt = new Date()
  readonly #path: string
  readonly #file: FileHandle
  #hash: Hash = createHash('sha256')
  #offset = 0

  private constructor(path: string, file: FileHandle) {
    this.#path = path
    this.#file = file
  }

  /** `path` must be on the file system of the store. */
  static async open(path: string): Promise<Ingest> {
    return new Ingest(path, await open(path, 'ax', 0o600))
  }

  /** Bytes written so far. */
  get offset(): number {
    return this.#offset
  }

  /**
   * Appends. From offset 0 it starts again, as the protocol demands.
   * @throws Refusal for any other offset than the end's
   */
  async write(data: Uint8Array, offset: number): Promise<void> {
    if (offset === 0 && this.#offset > 0) await this.#restart()
    if (offset !== this.#offset)
      throw new Refusal(
        status.OUT_OF_RANGE,
        `the write at ${offset} does not follow the ${this.#offset} bytes before it`,
      )
    await this.#file.writeFile(data)
    this.#hash.update(data)
    this.#offset += data.byteLength
  }

  /**
   * Ends the blob and gives it the path that `pathOf` makes of its digest.
   * @throws Refusal when it has another size (0: any) or digest ('': any) than expected
   */
  async commit(
    { size, digest: expected }: { size: number; digest: string },
    pathOf: (digest: string) => string,
  ): Promise<string> {
    if (size > 0 && size !== this.#offset)
      throw new Refusal(status.FAILED_PRECONDITION, `the blob has ${this.#offset} bytes, and not ${size}`)
    const digest = `sha256:${this.#hash.copy().digest('hex')}`
    if (expected !== '' && expected !== digest)
      throw new Refusal(status.FAILED_PRECONDITION, `the blob has the digest ${digest}, and not ${expected}`)
    // A power cut must not leave the name to an empty file.
    await this.#file.sync()
    await rename(this.#path, pathOf(digest))
    return digest
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
    await rm(this.#path, { force: true })
  }

  async #restart(): Promise<void> {
    await this.#file.truncate(0)
    this.#hash = createHash('sha256')
    this.#offset = 0
  }
}
