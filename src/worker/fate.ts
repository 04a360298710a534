import { readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { keepAlive, orAborted } from '../lifetime/index.ts'
import type { ProvidedKernel } from './provided.ts'

/** An error, as it goes to workers: what is printed of it. */
export interface Failure {
  readonly title: string
  readonly message: string
}

/** What became of a VM: the one file that tells workers of it, and that is replaced when there is more to tell. */
export interface Fate {
  /** The VM, once its dockerd answers. */
  readonly kernel?: ProvidedKernel
  /** Why it did not start, or how it died. */
  readonly failure?: Failure
}

/** Short against the second within which a test is to hear of the death of its VM. */
const INTERVAL_MS = 100

/** A VM's fate, seen from a worker. */
export class FateWatch {
  readonly #path: string
  readonly #gone = new AbortController()
  readonly #toError: (failure: Failure) => Error
  readonly #ticks = new Socket()
  #fate: Fate = {}
  #onChange: () => void = () => {}

  /**
   * @param path the file; it may be still to come. No process stays alive for it.
   * @param toError makes the error that the test runner prints best
   */
  constructor(path: string, toError: (failure: Failure) => Error = withoutFrames) {
    this.#path = path
    this.#toError = toError
    // Not inotify, of which a machine has few; nor `watchFile`, which sees no change from what came before its first look. The timer
    // of a socket is Node's own: tests may have replaced all that are JavaScript's.
    this.#ticks.on('timeout', () => this.#look())
    this.#look()
  }

  /** Aborts when the VM is not there any more; its reason says why. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** The VM, when its dockerd answers, or once did. @throws why it never did */
  async ready(): Promise<ProvidedKernel> {
    const letGo = keepAlive()
    try {
      while (this.#fate.kernel === undefined) {
        const changed = new Promise<void>((resolve) => {
          this.#onChange = resolve
        })
        await orAborted(changed, this.gone)
      }
      return this.#fate.kernel
    } finally {
      letGo()
    }
  }

  #look(): void {
    this.#ticks.setTimeout(INTERVAL_MS)
    this.#read()
  }

  #read(): void {
    try {
      this.#fate = JSON.parse(readFileSync(this.#path, 'utf8')) as Fate
    } catch (thrown) {
      // Not there yet; or not there any more, because the run has ended.
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return
      throw thrown
    }
    const { failure } = this.#fate
    if (failure !== undefined) {
      this.#gone.abort(this.#toError(failure))
      // There is no more to hear.
      this.close()
    }
    this.#onChange()
  }

  /** Hears no more. */
  close(): void {
    this.#ticks.destroy()
  }
}

/** Where in our code it was made helps no user. */
function withoutFrames({ title, message }: Failure): Error {
  const error = new Error(message)
  error.name = title
  error.stack = `${title}: ${message}`
  return error
}
