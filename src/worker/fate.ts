import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { keepAlive, orAborted } from '../lifetime/index.ts'
import type { RetryOn } from '../options/index.ts'
import type { Step, WorkerEnvironment } from '../vm/index.ts'

/** One running VM, as workers are told of it; plain data. */
export interface ProvidedKernel {
  readonly name: string
  readonly kernel: string
  readonly cgroup: 1 | 2
  readonly dockerHost: string
  readonly address: string
  readonly environment: WorkerEnvironment
}

/** `project`: the one VM is the project's, and its environment is set in each worker. `suite`: tests choose a VM. */
export type Scope = 'project' | 'suite'

/** Where a worker hears of the VM of an entry; plain data. */
export type VmSource = ProjectVmSource | LeaseServerSource

/** All workers of the project have the same. */
export interface ProjectVmSource {
  readonly kind: 'project'
  readonly name: string
  /** The file that says what becomes of it. */
  readonly fate: string
}

/** There is one for each worker, or for each of its test files, which asks for it. */
export interface LeaseServerSource {
  readonly kind: 'server'
  readonly name: string
  /** The socket on which to ask. */
  readonly socket: string
  /** Which of the entries there. */
  readonly index: number
  /** Whether it has a fresh one for each test that is tried again. */
  readonly retryOn: RetryOn
}

/** What a worker asks a lease server, in one line of JSON. The VM is its own as long as the connection is. */
export interface LeaseRequest {
  readonly index: number
  /** Tells the test runner's workers apart. */
  readonly worker: string
}

/** What it asks there later, where tests are tried again on fresh VMs; answered as a lease is. */
export interface RetryRequest {
  readonly do: 'retry' | 'go back'
}

/** The answer, in one line of JSON. */
export interface LeaseReply {
  /** The file that says what becomes of the VM. */
  readonly fate: string
}

/** An error, as it goes to workers: what is printed of it. */
export interface Failure {
  readonly title: string
  readonly message: string
}

/** What a report of the run tells of a VM, as far as the process that has it knows. */
export interface VmFacts {
  readonly hostname: string
  readonly release?: string
  readonly accelerator: 'kvm' | 'tcg'
  readonly steps: readonly Step[]
  /** The file that receives its console. */
  readonly consolePath: string
}

/** What became of a VM: the one file that tells workers of it, and that is replaced when there is more to tell. */
export interface Fate {
  /** The VM, once its dockerd answers. */
  readonly kernel?: ProvidedKernel
  /** With the VM. */
  readonly facts?: VmFacts
  /** Where to tell of tests that run on it, and to hear what its kernel reports meanwhile: a socket (report-server.ts). */
  readonly reports?: string
  /** Why it did not start, or how it died. */
  readonly failure?: Failure
}

/** What is written of it. That a variable must not be set is undefined in an environment, which JSON does not have: there it is null. */
export function textOfFate(fate: Fate): string {
  return JSON.stringify(fate, (key, value) => (key === 'environment' ? replaceIn(value, undefined, null) : value))
}

function fateIn(text: string): Fate {
  return JSON.parse(text, (key, value) => (key === 'environment' ? replaceIn(value, null, undefined) : value)) as Fate
}

function replaceIn(environment: object, from: null | undefined, to: null | undefined): object {
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, value === from ? to : value]))
}

/** Beside the file of a VM's fate: that a test failed on the VM. A file as that is, because a worker may end at once. */
const FAILED = '.failed'

/** A worker says that a test failed on a VM. @param fate the file that says what becomes of the VM */
export function noteFailure(fate: string): void {
  try {
    writeFileSync(fate + FAILED, '')
  } catch {
    // No room, or the run has ended: then the VM is not kept, and the test has failed all the same.
  }
}

/** Whether a worker has said so. */
export function hasFailure(fate: string): boolean {
  return existsSync(fate + FAILED)
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

  /** Where to tell of its tests, once it is ready. */
  get reports(): string | undefined {
    return this.#fate.reports
  }

  /** What is known of it, once it is ready. */
  get facts(): VmFacts | undefined {
    return this.#fate.facts
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
      this.#fate = fateIn(readFileSync(this.#path, 'utf8'))
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
export function withoutFrames({ title, message }: Failure): Error {
  const error = new Error(message)
  error.name = title
  error.stack = `${title}: ${message}`
  return error
}
