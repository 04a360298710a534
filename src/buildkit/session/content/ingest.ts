import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { status } from '@grpc/grpc-js'
import { Refusal } from '../services.ts'

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
