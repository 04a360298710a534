import type { Lines } from '../box.ts'

/** Lines that a test prints. */
export class FakeLines implements Lines {
  readonly kept: string[] = []
  #ended = false
  #waiting: (() => void)[] = []

  print(line: string): void {
    this.kept.push(line)
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  tail(lines = 20): string {
    return this.kept.slice(-lines).join('\n')
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string, void> {
    for (let next = 0; ; ) {
      for (; next < this.kept.length; next++) yield this.kept[next] ?? ''
      if (this.#ended) return
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }
}
