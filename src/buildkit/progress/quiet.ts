import type { ProgressDisplay, Write } from './display.ts'

/** Shows nothing of a build: what went wrong is in the error. */
export class QuietDisplay implements ProgressDisplay {
  readonly #write: Write

  constructor(write: Write) {
    this.#write = write
  }

  update(): void {}

  print(line: string): void {
    this.#write(`${line}\n`)
  }

  end(): void {}
}
