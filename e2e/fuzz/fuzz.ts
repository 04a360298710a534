import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'

/** Of all targets together, where the long suite does not say more. */
const UNIT_SECONDS = 2
const TARGETS = 12
const HANG_MS = 20_000
/** What the process may grow by while a target runs: nothing of what was said is kept. */
const MOST_GROWTH_BYTES = 400 * 1024 ** 2

export interface Fuzzing {
  readonly name: string
  /** What is nearly right: mutations of it come further than noise. */
  readonly seeds: readonly (string | Uint8Array)[]
  /** Takes one input. What it throws is a finding; so is what it throws at nobody, and that it does not end. */
  readonly take: (input: Buffer) => void | Promise<void>
  /** Where inputs are kept that once failed. They are taken first, each time. @default a directory of this one */
  readonly keptIn?: string
  /** @default its share of `TESTKERNELS_FUZZ_SECONDS` */
  readonly seconds?: number
  /** What takes longer than that hangs, in milliseconds. @default more than anything here takes, whatever the machine does beside it */
  readonly hangMs?: number
}

/** Feeds a target until its time is over. @returns how often @throws with the input that failed, shrunk, which is kept from then on */
export async function fuzz({
  name,
  seeds,
  take,
  keptIn = join(import.meta.dirname, 'kept'),
  seconds = Number(process.env['TESTKERNELS_FUZZ_SECONDS'] ?? UNIT_SECONDS) / TARGETS,
  hangMs = HANG_MS,
}: Fuzzing): Promise<number> {
  const before = process.memoryUsage.rss()
  const kept = new KeptInputs(join(keptIn, name.replaceAll(/[^\w]+/g, '-')))
  let executions = 0
  let taking: Promise<void> = Promise.resolve()
  using uncaught = new Uncaught()
  const property = fc.asyncProperty(mutated(seeds), async (input) => {
    executions++
    taking = ends(take(input), hangMs)
    await taking
    await uncaught.none()
  })
  const result = await fc.check(property, {
    numRuns: 1_000_000_000,
    examples: kept.all().map((input) => [input]),

    interruptAfterTimeLimit: seconds * 1000,
    markInterruptAsFailure: false,
  })
  if (result.counterexample !== null) {
    const path = kept.keep(result.counterexample[0])
    const thrown = result.errorInstance
    const what = thrown instanceof Error ? thrown.message : String(thrown)
    throw new Error(`${name}: ${what}\nThe input is kept in ${path}\n${fc.defaultReportMessage(result)}`, {
      cause: thrown,
    })
  }
  // The time may have been over in the middle of one.
  await taking
  const growth = process.memoryUsage.rss() - before
  console.log(`fuzz ${name}: ${executions} executions, ${(growth / 1024 ** 2).toFixed(0)} MiB more`)
  if (growth > MOST_GROWTH_BYTES) throw new Error(`${name}: the process grew by ${growth} bytes`)
  return executions
}

/** @throws what it throws, or that it does not end */
async function ends(taken: void | Promise<void>, withinMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${withinMs} ms`)), withinMs)
  })
  await Promise.race([taken, late]).finally(() => clearTimeout(timer))
}

/** Inputs that once failed, each a file. */
class KeptInputs {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  all(): readonly Buffer[] {
    if (!existsSync(this.#directory)) return []
    return readdirSync(this.#directory).map((name) => readFileSync(join(this.#directory, name)))
  }

  keep(input: Buffer): string {
    const path = join(this.#directory, createHash('sha256').update(input).digest('hex').slice(0, 16))
    mkdirSync(this.#directory, { recursive: true })
    writeFileSync(path, input)
    return path
  }
}

/** What is thrown out of listeners and timers, or rejects and nobody hears of it. */
class Uncaught implements Disposable {
  readonly #thrown: unknown[] = []
  readonly #take = (thrown: unknown) => void this.#thrown.push(thrown)

  constructor() {
    process.on('uncaughtException', this.#take).on('unhandledRejection', this.#take)
  }

  /** @throws what was thrown since it was asked before */
  async none(): Promise<void> {
    // A rejection is nobody's when a turn has passed without anybody who takes it.
    await new Promise((resolve) => setImmediate(resolve))
    const [first] = this.#thrown.splice(0)
    if (first !== undefined) throw first
  }

  [Symbol.dispose](): void {
    process.off('uncaughtException', this.#take).off('unhandledRejection', this.#take)
  }
}

const mutation = fc.record({
  at: fc.nat(100_000),
  how: fc.constantFrom('replace', 'insert', 'delete', 'repeat', 'truncate'),
  bytes: fc.oneof(
    fc.uint8Array({ maxLength: 12 }),
    fc
      .constantFrom('\n', '\0', '\x1b[2J', '{', ']', '"', '../', '1e999', '-1', 'NaN', '\xff', '{"a":', '/', '\u202e')
      .map((text) => Uint8Array.from(Buffer.from(text))),
  ),
  times: fc.nat(2_000),
})

function mutated(seeds: Fuzzing['seeds']): fc.Arbitrary<Buffer> {
  const seed = fc.constantFrom(...seeds)
  return fc
    .tuple(fc.array(seed, { minLength: 1, maxLength: 4 }), fc.array(mutation, { maxLength: 6 }))
    .map(([parts, mutations]) =>
      mutations.reduce(
        (input, { at: place, how, bytes, times }) => {
          const at = input.length === 0 ? 0 : place % (input.length + 1)
          const [head, tail] = [input.subarray(0, at), input.subarray(at)]
          if (how === 'replace') return Buffer.concat([head, bytes, tail.subarray(bytes.length)])
          if (how === 'insert') return Buffer.concat([head, bytes, tail])
          if (how === 'delete') return Buffer.concat([head, tail.subarray(bytes.length)])
          if (how === 'repeat')
            return Buffer.concat([head, Buffer.alloc(times * bytes.length, Buffer.from(bytes)), tail])
          return Buffer.from(head)
        },
        Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array))),
      ),
    )
}
