import { tmpdir } from 'node:os'
import type { SolveStatus } from '../buildkit/progress/index.ts'
import { reasonOf } from '../errors/index.ts'
import { type Host, openDockerHost } from '../host/index.ts'
import type { Logger } from '../log/index.ts'
import type { Settings } from '../options/index.ts'
import { sweepRunDirectories } from './boot/run-directory.ts'
import { Admission } from './pool/admission.ts'

/** What all that one process does with VMs has in common: opened alike by the command line, by test runners and by `KernelVm`. */
export interface Session {
  readonly settings: Settings
  readonly log: Logger
  /** Takes the steps of builds. */
  readonly onBuildStatus: (status: SolveStatus) => void
  /** The machine that VMs run on. */
  readonly host: Host
  /** Which VM may start when. */
  readonly admission: Admission
  readonly makings: Makings
  /**
   * Removes what killed processes left on the host, and in the temporary directory. Once, in the background; that it fails is no failure
   * of a start.
   */
  readonly sweep: () => void
}

export interface SessionOptions {
  readonly settings: Settings
  readonly log: Logger
  /** @default nobody sees them */
  readonly onBuildStatus?: Session['onBuildStatus']
  /** Calls the connecting off. */
  readonly signal?: AbortSignal | undefined
}

/** @throws as `openDockerHost` */
export async function openSession({ signal, ...options }: SessionOptions): Promise<Session> {
  const { settings, log } = options
  return newSession(await openDockerHost({ settings, log, signal }), options)
}

export function newSession(host: Host, options: Omit<SessionOptions, 'signal'>): Session {
  const { settings, log, onBuildStatus = () => {} } = options
  const starts = Math.max(2, host.cores)
  const admission = new Admission({ starts, availableMib: () => host.availableMib() })
  let isSwept = false
  const sweep = () => {
    if (isSwept) return
    isSwept = true
    removeLeftovers(host, log).catch((thrown) => log.debug(`cannot remove leftovers: ${reasonOf(thrown)}`))
  }
  return { settings, log, onBuildStatus, host, admission, makings: new Makings(), sweep }
}

async function removeLeftovers(host: Host, log: Logger): Promise<void> {
  // Where builds have theirs, if not VMs. What fails with the one is no reason to leave the other.
  await Promise.all([host.prune({ log }), sweepRunDirectories(tmpdir())])
}

/** The templates that this process makes now. A start that needs one of them waits, and takes no memory for making it as well. */
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
