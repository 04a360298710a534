/** Makes lines of text that arrives cut anywhere. */
export class LineSplitter {
  #rest = ''

  /** The lines that the text completes, without their ends (`\n`; a `\r` before it stays). */
  push(text: string): string[] {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    return lines
  }

  /** What has no end yet. */
  get rest(): string {
    return this.#rest
  }

  /** Takes what has no end yet away, as a line. */
  flush(): string {
    const rest = this.#rest
    this.#rest = ''
    return rest
  }
}
