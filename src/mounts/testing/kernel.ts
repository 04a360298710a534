import { duplexPair } from 'node:stream'
import type { MountAccess } from '../../options/index.ts'
import { serve } from '../index.ts'
import { opcodes } from '../requests.ts'
import { SharedTree } from '../shared-tree.ts'

export interface Answer {
  /** 0, or what was refused, as a positive number. */
  readonly errno: number
  readonly body: Buffer
}

/** A guest's kernel at the other end of a share, which a test has say anything. */
export class TestKernel implements AsyncDisposable {
  /** Rejects with what ended the share before the kernel did. */
  readonly served: Promise<void>
  readonly #stream: ReturnType<typeof duplexPair>[0]
  readonly #waiting = new Map<bigint, (answer: Answer) => void>()
  #held = Buffer.alloc(0)
  #unique = 0n

  private constructor(tree: SharedTree, access: MountAccess) {
    const [ours, theirs] = duplexPair()
    this.#stream = ours
    ours.on('error', () => {})
    ours.on('data', (piece: Buffer) => this.#receive(piece))
    this.served = serve(theirs, tree, access)
    this.served.catch(() => {})
  }

  static async mount(directory: string, access: MountAccess): Promise<TestKernel> {
    const kernel = new TestKernel(await SharedTree.open(directory), access)
    await kernel.ask(opcodes.init, 0, u32s(7, 31, 1 << 17, 0xffff_ffff))
    return kernel
  }

  /** @param node 1 is the directory itself */
  ask(opcode: number, node: number | bigint, body: Buffer = Buffer.alloc(0)): Promise<Answer> {
    const unique = ++this.#unique
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(unique, resolve))
    this.tell(opcode, node, body, unique)
    return answered
  }

  /** What has no answer. */
  tell(opcode: number, node: number | bigint, body: Buffer, unique = ++this.#unique): void {
    this.say(message(opcode, node, body, unique))
  }

  say(bytes: Buffer): void {
    this.#stream.write(bytes)
  }

  /** The node of a path below the directory. @throws the number of what is refused */
  async find(path: string): Promise<number> {
    let node = 1
    for (const name of path.split('/')) node = nodeIn(await this.ask(opcodes.lookup, node, text(name)))
    return node
  }

  async #end(): Promise<void> {
    // What a socket does of itself: its end is heard at the other.
    this.#stream.end()
    await this.served.catch(() => {})
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#end()
  }

  #receive(piece: Buffer): void {
    this.#held = Buffer.concat([this.#held, piece])
    while (this.#held.length >= 16 && this.#held.length >= this.#held.readUInt32LE()) {
      const length = this.#held.readUInt32LE()
      const unique = this.#held.readBigUInt64LE(8)
      this.#waiting.get(unique)?.({ errno: Math.abs(this.#held.readInt32LE(4)), body: this.#held.subarray(16, length) })
      this.#waiting.delete(unique)
      this.#held = this.#held.subarray(length)
    }
  }
}

/** A request as the guest's kernel writes it. @param unique what its answer is known by */
export function message(opcode: number, node: number | bigint, body: Buffer = Buffer.alloc(0), unique = 1n): Buffer {
  const head = Buffer.alloc(40)
  head.writeUInt32LE(head.length + body.length)
  head.writeUInt32LE(opcode, 4)
  head.writeBigUInt64LE(unique, 8)
  head.writeBigUInt64LE(BigInt(node), 16)
  return Buffer.concat([head, body])
}

/** That of an entry, or of an open file. */
export function nodeIn({ errno, body }: Answer): number {
  if (errno !== 0) throw errno
  return Number(body.readBigUInt64LE())
}

export function u32s(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [at, value] of values.entries()) bytes.writeUInt32LE(value >>> 0, at * 4)
  return bytes
}

export function u64s(...values: readonly (number | bigint)[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8)
  for (const [at, value] of values.entries()) bytes.writeBigUInt64LE(BigInt(value), at * 8)
  return bytes
}

export function text(...words: readonly string[]): Buffer {
  return Buffer.from(words.map((word) => `${word}\0`).join(''))
}
