import { randomBytes } from 'node:crypto'
import { mkdir, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { NotFound, Refusal } from '../services.ts'
import { Ingest } from './ingest.ts'

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
