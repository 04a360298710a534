/** The templates that this process makes now. Who needs one of them waits, and takes no memory for making it as well. */
export class Makings {
  readonly #running = new Map<string, Promise<void>>()

  /** Resolves when this process does not make it any more; undefined when it does not. Never rejects. */
  running(template: string): Promise<void> | undefined {
    return this.#running.get(template)
  }

  /** It is made from now on, until it is disposed. */
  begin(template: string): Disposable {
    let end = () => {}
    this.#running.set(
      template,
      new Promise((resolve) => {
        end = resolve
      }),
    )
    return {
      [Symbol.dispose]: () => {
        this.#running.delete(template)
        end()
      },
    }
  }
}
