import type { ProgressDisplay } from './display.ts'

/** Shows nothing: what went wrong is in the error. */
export class QuietDisplay implements ProgressDisplay {
  update(): void {}
  end(): void {}
}
