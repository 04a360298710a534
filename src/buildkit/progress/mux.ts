import type { Write } from './status.ts'
import type { Step } from './step.ts'

/** A step that has the floor keeps it for so long after its last line, when others wait. */
const QUIET_MS = 500
/** And so long in all. */
const FLOOR_MS = 5_000

interface Section {
  readonly step: Step
  readonly lines: string[]
  isOpen: boolean
  hadFloor: boolean
}

/** Brings the lines of steps that run at the same time into sections that can be read, one step a section. */
export class LineMux {
  readonly #write: Write
  readonly #sections = new Map<string, Section>()
  #floor: Section | undefined
  #floorSince = 0
  #lastLineAt = 0
  #isFirst = true
  #timer: NodeJS.Timeout | undefined

  constructor(write: Write) {
    this.#write = write
  }

  /** The step runs, again perhaps. */
  open(step: Step): void {
    this.#section(step).isOpen = true
  }

  line(step: Step, text: string): void {
    this.#section(step).lines.push(text)
  }

  /** The step ended; `text` is its last line. */
  close(step: Step, text: string): void {
    const section = this.#section(step)
    section.lines.push(text)
    section.isOpen = false
  }

  /** Writes what may be written by now. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#drain()
    for (let next = this.#next(); next !== undefined && this.#mayTakeFloor(); next = this.#next()) this.#give(next)
    // Without more output nobody would call again for those who wait.
    if (this.#next() !== undefined) this.#timer = setTimeout(() => this.flush(), QUIET_MS).unref()
  }

  /** Writes all that is left. */
  end(): void {
    clearTimeout(this.#timer)
    this.#drain()
    for (let next = this.#next(); next !== undefined; next = this.#next()) this.#give(next)
  }

  #section(step: Step): Section {
    const known = this.#sections.get(step.digest)
    if (known !== undefined) return known
    const section: Section = { step, lines: [], isOpen: false, hadFloor: false }
    this.#sections.set(step.digest, section)
    return section
  }

  /** The section that waits for the floor: one with lines, or with a name to tell. */
  #next(): Section | undefined {
    for (const section of this.#sections.values())
      if (
        section.step.index > 0 &&
        section !== this.#floor &&
        (section.lines.length > 0 || (section.isOpen && !section.hadFloor))
      )
        return section
    return undefined
  }

  #mayTakeFloor(): boolean {
    if (this.#floor === undefined || !this.#floor.isOpen) return true
    const now = performance.now()
    return now - this.#lastLineAt >= QUIET_MS || now - this.#floorSince >= FLOOR_MS
  }

  #give(next: Section): void {
    if (this.#floor?.isOpen) this.#write(`#${this.#floor.step.index} ...\n`)
    this.#floor = next
    this.#floorSince = performance.now()
    next.hadFloor = true
    this.#write(`${this.#isFirst ? '' : '\n'}#${next.step.index} ${next.step.name}\n`)
    this.#isFirst = false
    this.#lastLineAt = performance.now()
    this.#drain()
  }

  #drain(): void {
    const floor = this.#floor
    if (floor === undefined || floor.lines.length === 0) return
    this.#write(
      floor.lines
        .splice(0)
        .map((line) => `#${floor.step.index} ${line}\n`)
        .join(''),
    )
    this.#lastLineAt = performance.now()
  }
}
