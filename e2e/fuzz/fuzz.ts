import fc from 'fast-check'

/** Of all targets together, where the long suite does not say more. */
const UNIT_SECONDS = 2
const TARGETS = 8
/** What the process may grow by while a target runs: nothing of what was said is kept. */
const MOST_GROWTH_BYTES = 400 * 1024 ** 2

export interface Fuzzing {
  readonly name: string
  /** What is nearly right: mutations of it come further than noise. */
  readonly seeds: readonly (string | Uint8Array)[]
  /** Takes one input. What it throws is a finding; so is what reaches nobody, which Vitest hears of. */
  readonly take: (input: Buffer) => void | Promise<void>
}

/** Feeds a target until its share of the time is over. @returns how often @throws with seed and path of what failed, shrunk */
export async function fuzz({ name, seeds, take }: Fuzzing): Promise<number> {
  const budgetMs = (Number(process.env['TESTKERNELS_FUZZ_SECONDS'] ?? UNIT_SECONDS) * 1000) / TARGETS
  const before = process.memoryUsage.rss()
  let executions = 0
  const property = fc.asyncProperty(mutated(seeds), async (input) => {
    executions++
    await take(input)
  })
  await fc.assert(property, {
    numRuns: 1_000_000_000,
    interruptAfterTimeLimit: budgetMs,
    markInterruptAsFailure: false,
  })
  const growth = process.memoryUsage.rss() - before
  console.log(`fuzz ${name}: ${executions} executions, ${(growth / 1024 ** 2).toFixed(0)} MiB more`)
  if (growth > MOST_GROWTH_BYTES) throw new Error(`${name}: the process grew by ${growth} bytes`)
  return executions
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
