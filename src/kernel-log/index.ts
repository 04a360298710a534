import { type ReportKind, type ReportShape, reportShapes } from './kinds.ts'

export { type ReportKind, reportKinds, slownessKinds } from './kinds.ts'

/** One line of a kernel's log. */
export interface KernelLogRecord {
  /** 0 (emergency) to 7 (debug). */
  readonly level: number
  /** Each record of a boot has the next. */
  readonly sequence: number
  /** Since the kernel's start, in microseconds. */
  readonly uptimeUs: number
  /** Printable: the kernel has escaped the rest, as `\x1b`; a backslash as well. One message may be several lines. */
  readonly text: string
}

/** What a kernel says went wrong in it: a headline and its block of lines. */
export interface KernelReport {
  readonly kind: ReportKind
  /** What is the same each time it happens, on whatever machine: no addresses, process ids and counts. */
  readonly title: string
  /** The line by which it was recognised. */
  readonly headline: string
  /** All of its lines. */
  readonly block: string
  /** Of the headline. */
  readonly sequence: number
  /** When the kernel said it, in seconds since its start. */
  readonly uptimeS: number
}

/** A block that is longer is cut: a report of a kernel with all its debugging has some 150 lines. */
const MOST_LINES = 300
/** Of what comes after so many, what stands in traces alone: the rest is said by others, on another processor. */
const MOST_OTHER_LINES = 150
/** Of a line that is for debugging. No report that is louder has one: such a line in its midst is another processor's. */
const LEVEL_DEBUG = 7
const MOST_CHARACTERS = 32 * 1024
/** A kernel prints a report at once; a line that comes later is of something else. */
const LONGEST_GAP_US = 2_000_000
/** Lines between the mark that opens a report and its headline: the message of a WARN. */
const MOST_LEADING_LINES = 6

const OPENING = /^(?:-+\[ cut here \]-+|={20,}|#{20,})$/
const CLOSING = /^(?:---\[ end trace .*|={20,}|#{20,})$/
const TRACE = /^(?:Call [Tt]race:|Backtrace:|stack backtrace:| {2}backtrace\b)/
/** What stands in or around a trace: indented lines, registers, marks, and what a kernel says of the CPU. */
const OF_TRACE =
  /^(?:\s|<\/?[A-Z]+>|[A-Z][A-Z0-9]{1,2}: |[a-z]\w{1,2} ?: |RIP: |RSP: |EFLAGS|Code: |Call [Tt]race:|Modules linked in:|CPU: |Hardware name:|Workqueue: |NMI backtrace|Sending NMI|rcu: |---\[ end trace|task:|Showing |irq event|(?:hard|soft)irqs )/
/** Of what kmemleak prints, whose lines have its name before them. */
const LEAK_LINE = /^kmemleak: /
/** Functions that allocate for others: the first that is none of these has lost it. */
const ALLOCATORS =
  /^_*(?:k[mvz]*(?:alloc|calloc|realloc|zalloc)|kmem_?(?:cache|dup|leak_alloc)|k?strn?dup|k[vs]*asprintf|v[mz]?alloc|slab_|create_object|pcpu_|alloc_(?:percpu|pages)|devm_k)/
const ALLOCATING = /^ +\[<[^>]*>\] ([\w$]+)[\w.$]*\+0x/
const INTERRUPTED = /^(?:RIP: \w+:|\w\w : )(?:\[<\w+>\] )?([\w$]+)[\w.$]*\+0x/

interface OpenReport {
  readonly shape: ReportShape
  readonly headline: KernelLogRecord
  readonly lines: string[]
  lastUs: number
  hasTrace: boolean
}

/** Cuts a kernel's log, line by line, into the reports that are in it. */
export class ReportCutter {
  #leading: string[] = []
  #open: OpenReport | undefined

  /** Whether lines of a report were taken, be it the mark before its headline, and its end was not. */
  get isOpen(): boolean {
    return this.#open !== undefined || this.#leading.length > 0
  }

  /** The reports that this record completes. */
  push(record: KernelLogRecord): readonly KernelReport[] {
    const lines = record.text.split('\\x0a')
    return lines.flatMap((line) =>
      this.#pushLine({ ...record, text: line.replaceAll('\\x09', '\t').replaceAll('\\x5c', '\\') }),
    )
  }

  #pushLine(record: KernelLogRecord): readonly KernelReport[] {
    const open = this.#open
    if (open === undefined) return record.level >= LEVEL_DEBUG && this.isOpen ? [] : this.#lookForHeadline(record)
    const isLate = record.uptimeUs - open.lastUs > LONGEST_GAP_US
    if (record.level >= LEVEL_DEBUG && open.headline.level < LEVEL_DEBUG && !isLate) return []
    const text = record.text.replace(LEAK_LINE, '')
    const shape = shapeOf(text)
    const isPart = shape !== undefined && isPartOf(open.shape, shape)
    const isOther = shape !== undefined || isPast(open, text)
    if (isLate || (isOther && !isPart)) {
      return [...this.flush(), ...this.#lookForHeadline(record)]
    }
    if (open.lines.length < MOST_OTHER_LINES || OF_TRACE.test(text)) open.lines.push(text)
    open.lastUs = record.uptimeUs
    open.hasTrace ||= TRACE.test(text)
    return isClosedBy(open, record.text) || open.lines.length >= MOST_LINES ? this.flush() : []
  }

  /** Takes the report that is open as it is. */
  flush(): readonly KernelReport[] {
    const open = this.#open
    this.#open = undefined
    this.#leading = []
    return open === undefined ? [] : [reportOf(open)]
  }

  #lookForHeadline(record: KernelLogRecord): readonly KernelReport[] {
    const shape = shapeOf(record.text)
    if (shape !== undefined) {
      const lines = [...this.#leading, record.text.replace(LEAK_LINE, '')]
      this.#open = { shape, headline: record, lines, lastUs: record.uptimeUs, hasTrace: false }
      this.#leading = []
    } else if (OPENING.test(record.text)) this.#leading = [record.text]
    else if (this.#leading.length > 0 && this.#leading.length < MOST_LEADING_LINES) this.#leading.push(record.text)
    else this.#leading = []
    return []
  }
}

function shapeOf(text: string): ReportShape | undefined {
  return reportShapes.find(({ headline }) => headline.test(text))
}

/** What a kernel says twice: a WARN of its reference counts, the oops that follows from a BUG or from what KASAN saw, how many leaks those before were. */
function isPartOf(open: ReportShape, next: ReportShape): boolean {
  if (open.kind === 'memory-leak') return next.kind === 'memory-leak' && next.where === undefined
  if (open.end !== 'marker') return false
  return next.kind === 'oops' || (next.kind === 'warning' && open.kind === 'refcount')
}

/** Whether the line is none of the report, which was over with the one before. */
function isPast({ shape, hasTrace }: OpenReport, text: string): boolean {
  if (OPENING.test(text) && !CLOSING.test(text)) return true
  return shape.end === 'trace' && hasTrace && text !== '' && !OF_TRACE.test(text)
}

function isClosedBy({ shape }: OpenReport, text: string): boolean {
  return shape.end === 'marker' && CLOSING.test(text)
}

function reportOf({ shape, headline, lines }: OpenReport): KernelReport {
  return {
    kind: shape.kind,
    title: titleOf(shape, headline.text, lines),
    headline: headline.text,
    block: lines.join('\n').trimEnd().slice(0, MOST_CHARACTERS),
    sequence: headline.sequence,
    uptimeS: headline.uptimeUs / 1e6,
  }
}

function titleOf({ headline, title, where }: ReportShape, text: string, lines: readonly string[]): string {
  const found = headline.exec(text) ?? []
  const named = title.replace(/\$(\d)/g, (_, group) => found[Number(group)] ?? '')
  if (where === undefined) return named
  const pattern = where === 'interrupted function' ? INTERRUPTED : ALLOCATING
  const functions = lines.flatMap((line) => pattern.exec(line)?.[1] ?? [])
  const culprit = where === 'allocating function' ? functions.find((name) => !ALLOCATORS.test(name)) : functions[0]
  return culprit === undefined ? named : `${named} in ${culprit}`
}
