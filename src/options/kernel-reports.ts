import * as v from 'valibot'
import { type ReportKind, reportKinds } from '../kernel-log/index.ts'

/** What a report of a kernel does to the test during which it came. */
export type ReportVerdict = 'fail' | 'warn' | 'ignore'

/** What reports do by their kinds; of those that no list has, the default. A kind is in one list at the most. */
export interface KernelReportsOptions {
  readonly fail?: readonly ReportKind[]
  readonly warn?: readonly ReportKind[]
  readonly ignore?: readonly ReportKind[]
  /** Reports that are known: a regular expression that is looked for in their title and their first line, and why it is nobody's fault. */
  readonly allow?: readonly { readonly pattern: string; readonly reason: string }[]
  /**
   * Has the kernel look for memory that it has lost, at the end of each test file and of each command: some six seconds, and more of a kernel with
   * KASAN. Its config must have DEBUG_KMEMLEAK; what is lost as it boots is told, and fails nobody. @default false
   */
  readonly kmemleak?: boolean
}

export type KernelReportsOption = ReportVerdict | KernelReportsOptions

const verdicts = ['fail', 'warn', 'ignore'] as const satisfies readonly ReportVerdict[]
const kinds = v.optional(v.array(v.picklist(reportKinds)))
const isRegularExpression = (pattern: string): boolean => {
  try {
    return new RegExp(pattern) instanceof RegExp
  } catch {
    return false
  }
}

const reportsByKind = v.pipe(
  v.strictObject({
    fail: kinds,
    warn: kinds,
    ignore: kinds,
    allow: v.optional(
      v.array(
        v.strictObject({
          pattern: v.pipe(v.string(), v.minLength(1), v.check(isRegularExpression, 'a regular expression')),
          reason: v.pipe(v.string(), v.minLength(1)),
        }),
      ),
    ),
    kmemleak: v.optional(v.boolean()),
  }),
  v.check(({ fail = [], warn = [], ignore = [] }) => {
    const named = [...fail, ...warn, ...ignore]
    return new Set(named).size === named.length
  }, 'kinds that are in one list each'),
)

/** Not a union, whose complaint names no kind. */
export const kernelReportsOption = v.lazy((given) => (typeof given === 'object' ? reportsByKind : v.picklist(verdicts)))

/** Whether a kernel is to look for memory that it has lost. */
export function looksForLeaks(option: KernelReportsOption): boolean {
  return typeof option === 'object' && option.kmemleak === true
}
