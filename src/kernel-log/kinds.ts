/** What a kernel can report, as options name it. */
export const reportKinds = [
  /** WARN_ON and its kin. */
  'warning',
  /** BUG_ON, bad pages, corrupted lists and slabs. */
  'bug',
  /** An access that the processor refused, or an instruction that it does not know. */
  'oops',
  /** KASAN, KMSAN and KFENCE. */
  'memory-access',
  /** KCSAN. */
  'data-race',
  /** UBSAN. */
  'undefined-behaviour',
  /** Lockdep: what could deadlock, and RCU that is used without its lock. */
  'locking',
  /** Sleeping, or scheduling, where that is forbidden. */
  'atomic',
  'refcount',
  /** kmemleak. */
  'memory-leak',
  'soft-lockup',
  'hard-lockup',
  'rcu-stall',
  'hung-task',
  'workqueue-lockup',
] as const

export type ReportKind = (typeof reportKinds)[number]

/** What a machine that is too slow causes as well: under software emulation a guest may get no processor for seconds. */
export const slownessKinds: readonly ReportKind[] = [
  'soft-lockup',
  'hard-lockup',
  'rcu-stall',
  'hung-task',
  'workqueue-lockup',
]

/** One sort of report: how it begins, what it is called, and how it ends. */
export interface ReportShape {
  readonly kind: ReportKind
  /** Of its first line. Anchored, because kernels have such words in lines that report nothing. */
  readonly headline: RegExp
  /** What is the same each time, on whatever machine: without addresses, process ids and counts. `$1` and on are of the headline. */
  readonly title: string
  /** The function that is part of the title; it stands some lines below. */
  readonly where?: 'interrupted function' | 'allocating function'
  /**
   * `marker`: with `---[ end trace` or a line of `=`, whatever is in between. `trace`: with the last line of its call trace.
   */
  readonly end: 'marker' | 'trace'
}

/**
 * A function as kernels name it in a trace, `lkdtm_WARNING+0x12/0x20 [lkdtm]`, without what a compiler has added where it made several of one
 * (`.cold`, `.isra.0`); a place in their source.
 */
const FUNCTION = String.raw`([\w$]+)[\w.$]*\+0x[0-9a-f]+`
const FILE = String.raw`([\w./-]+):\d+`

const LOCKING = [
  'possible .+? detected',
  'inconsistent lock state',
  String.raw`[\w-]+-safe -> [\w-]+-unsafe lock order detected`,
  'suspicious RCU usage',
  'bad (?:unlock balance|contention) detected',
  'held lock freed',
  'lock held when returning to user space',
  'Nested lock was not taken',
  'Invalid wait context',
].join('|')

const OOPS = [
  'general protection fault',
  'divide error',
  'invalid opcode',
  'stack segment',
  'double fault',
  'int3',
].join('|')

/** A headline, after the name of the part that speaks. */
const headline = (pattern: string) => new RegExp(`^(?:(?:NMI )?watchdog: |rcu: |kmemleak: )?${pattern}`)

/** The first that fits counts. */
export const reportShapes: readonly ReportShape[] = [
  { kind: 'refcount', headline: headline('(refcount_t: .+?)\\.?$'), title: '$1', end: 'marker' },
  // Up to 6.17; from 6.18 on.
  {
    kind: 'warning',
    headline: headline(`WARNING: CPU: \\d+ PID: \\d+ at ${FILE} ${FUNCTION}`),
    title: 'WARNING in $2 ($1)',
    end: 'marker',
  },
  {
    kind: 'warning',
    headline: headline(`WARNING: (?:.*: )?${FILE} at ${FUNCTION}`),
    title: 'WARNING in $2 ($1)',
    end: 'marker',
  },
  // Of a kernel that does not know the names of its functions.
  {
    kind: 'warning',
    headline: headline(`WARNING: (?:CPU: \\d+ PID: \\d+ at )?${FILE}`),
    title: 'WARNING ($1)',
    end: 'marker',
  },
  {
    kind: 'memory-access',
    headline: headline(`BUG: (KASAN|KMSAN|KFENCE): (.+?) in ${FUNCTION}`),
    title: '$1: $2 in $3',
    end: 'marker',
  },
  {
    kind: 'memory-access',
    headline: headline('BUG: (KASAN|KMSAN|KFENCE): (.+?)(?: in .*)?$'),
    title: '$1: $2',
    end: 'marker',
  },
  { kind: 'data-race', headline: headline('BUG: (KCSAN: .+)'), title: '$1', end: 'marker' },
  {
    kind: 'undefined-behaviour',
    headline: headline('(UBSAN: .+? in [^\\s:]+)'),
    title: '$1',
    end: 'marker',
  },
  {
    kind: 'locking',
    headline: headline(`(?:\\[ )?(?:WARNING|INFO|BUG): (${LOCKING})`),
    title: 'lockdep: $1',
    end: 'trace',
  },
  {
    kind: 'atomic',
    headline: headline('BUG: (sleeping function called from invalid context at [\\w./-]+)'),
    title: 'BUG: $1',
    end: 'trace',
  },
  {
    kind: 'atomic',
    headline: headline('BUG: (scheduling while atomic|using \\w+\\(\\) in preemptible)'),
    title: 'BUG: $1',
    end: 'trace',
  },
  {
    kind: 'soft-lockup',
    headline: headline('BUG: soft lockup'),
    title: 'soft lockup',
    where: 'interrupted function',
    end: 'trace',
  },
  {
    kind: 'hard-lockup',
    headline: headline('(?:CPU\\d+: )?Watchdog detected [hH]ard LOCKUP'),
    title: 'hard lockup',
    where: 'interrupted function',
    end: 'trace',
  },
  { kind: 'workqueue-lockup', headline: headline('BUG: workqueue lockup'), title: 'workqueue lockup', end: 'trace' },
  {
    kind: 'rcu-stall',
    headline: headline('INFO: (rcu\\w*) (?:self-detected stall|detected (?:expedited )?stalls)'),
    title: 'RCU stall ($1)',
    end: 'trace',
  },
  {
    kind: 'hung-task',
    headline: headline('INFO: task (kworker|.+?)(?:/\\S+)?:\\d+ (?:<\\S+> )?(?:is )?blocked .*for more than'),
    title: 'hung task: $1',
    end: 'trace',
  },
  {
    kind: 'memory-leak',
    headline: headline('unreferenced object'),
    title: 'memory leak',
    where: 'allocating function',
    end: 'trace',
  },
  // The last line of those; or all that a kernel says that does not print them.
  {
    kind: 'memory-leak',
    headline: headline('\\d+ new suspected memory leaks'),
    title: 'memory leaks',
    end: 'trace',
  },
  { kind: 'bug', headline: headline('kernel BUG at ([\\w./-]+)'), title: 'kernel BUG at $1', end: 'marker' },
  {
    kind: 'oops',
    headline: headline(
      'BUG: (unable to handle [\\w ]+?|kernel NULL pointer dereference|stack guard page was hit)(?: (?:at|for|in)\\b.*|,.*)?$',
    ),
    title: 'BUG: $1',
    where: 'interrupted function',
    end: 'marker',
  },
  {
    kind: 'oops',
    headline: headline('(Unable to handle kernel [\\w ]+?)(?: (?:at|in)\\b.*)?$'),
    title: '$1',
    where: 'interrupted function',
    end: 'marker',
  },
  {
    kind: 'oops',
    headline: headline(`(?:Oops: )?(${OOPS})\\b.*\\[#\\d+\\]`),
    title: '$1',
    where: 'interrupted function',
    end: 'marker',
  },
  {
    kind: 'oops',
    headline: headline('(?:Internal error: )?Oops\\b.*\\[#\\d+\\]'),
    title: 'Oops',
    where: 'interrupted function',
    end: 'marker',
  },
  // Of a slab: `BUG kmalloc-64 (Not tainted): Poison overwritten`.
  { kind: 'bug', headline: headline('BUG ([\\w-]+) \\(.*?\\): (.+)'), title: 'BUG $1: $2', end: 'trace' },
  {
    kind: 'bug',
    headline: headline('BUG: ([A-Za-z][\\w -]*?)(?: in process\\b.*| on CPU.*| (?:mm|pte):.*|[:,#@(].*| 0x.*)?$'),
    title: 'BUG: $1',
    end: 'trace',
  },
]
