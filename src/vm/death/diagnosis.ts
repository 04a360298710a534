import * as v from 'valibot'
import { type TestkernelsError, visibleLine } from '../../errors/index.ts'
import { reasonInTime } from '../../lifetime/index.ts'
import type { Logger } from '../../log/index.ts'
import { type KernelEntry, kernelText } from '../../options/index.ts'
import type { QmpConnection } from '../../qemu/index.ts'
import { VmDiedError } from '../errors.ts'

/** Why a VM does not run as it should. */
export interface Diagnosis {
  readonly why: string
  /** `lost`: it will not answer any more. */
  readonly verdict: 'stalled' | 'lost'
  readonly remedy: string
}

/** QEMU stops a guest when a write finds no room; it tells a guest of all other errors of a disk, and lets it go on. */
const diskFull: Diagnosis = {
  why: "the disk that holds the VM's data is full, which is the Docker engine's: QEMU stopped the guest",
  verdict: 'lost',
  remedy: "make room on the engine's disk: `docker system df` shows what takes it",
}

/** What QEMU names is short; whoever has taken it over may say anything. */
const word = v.pipe(v.string(), v.maxLength(100))
/** What `query-status` of QEMU's machine protocol returns; a `RunState`. */
const runState = v.object({ status: word })

/**
 * @param answer what QEMU returned for `query-status`
 * @throws v.ValiError for what is no answer to it
 */
export function explainStatus(answer: unknown, isAgentSilent: boolean): Diagnosis {
  const { status } = v.parse(runState, answer)
  switch (status) {
    case 'io-error':
      return diskFull
    case 'guest-panicked':
      return { why: "its guest's kernel panicked", verdict: 'lost', remedy: 'read its console for what came before' }
    case 'running':
      return isAgentSilent
        ? {
            why: 'its guest hangs, or its machine has no time for it',
            verdict: 'stalled',
            remedy: 'read its console, and see what load the machine has',
          }
        : {
            why: 'its guest runs, and there is no way into it: its network is down, or its door is',
            verdict: 'stalled',
            remedy: 'see what the tests do to the network of the guest (eth0 of its root)',
          }
    case 'paused':
    case 'suspended':
      return {
        why: 'QEMU was told to stop it',
        verdict: 'stalled',
        remedy: 'see who uses its monitor',
      }
    default:
      return {
        why: `its guest runs no more (QEMU says '${visibleLine(status)}')`,
        verdict: 'lost',
        remedy: 'read its console for what came before',
      }
  }
}

/** The end of a VM that was given up. */
export function lostVm({ why, remedy }: Diagnosis, entry: KernelEntry): TestkernelsError {
  return new VmDiedError({
    what: `the VM was lost on ${kernelText(entry.kernel)}, cgroup v${entry.cgroup}: ${why}`,
    entry: entry.name,
    remedy,
  })
}

/** `BLOCK_IO_ERROR` of QEMU's machine protocol. */
const diskError = v.object({ action: word, nospace: v.optional(v.boolean(), false), reason: word })
/** `SHUTDOWN` of QEMU's machine protocol; the reason is a `ShutdownCause`. */
const shutdown = v.object({ reason: word })

export interface QemuWatchOptions {
  readonly onLost: (diagnosis: Diagnosis) => void
  readonly log: Logger
}

/** What QEMU has said of its guest by itself. */
export interface QemuWatch {
  /** Why it shuts down, once it does. */
  readonly shutdownReason: string | undefined
  /** Resolves when all was heard that a QEMU said which has ended; in any case within two seconds. */
  heardOut(): Promise<unknown>
}

/**
 * Hears what QEMU says by itself, from the first moment of a guest to its last: a disk that fails, and why it shuts down. A guest that
 * boots was running before anybody listened: of a disk that was full by then its status tells.
 */
export function watchQemu(
  monitor: Pick<QmpConnection, 'gone' | 'onEvent' | 'execute'>,
  { onLost, log }: QemuWatchOptions,
): QemuWatch {
  let shutdownReason: string | undefined
  let isDiskErrorTold = false

  function takeDiskError({ action, nospace, reason }: v.InferOutput<typeof diskError>): void {
    if (action === 'stop' && nospace) onLost(diskFull)
    // The guest hears of each, and a broken disk has many.
    else if (!isDiskErrorTold) {
      isDiskErrorTold = true
      log.warn(`the disk that holds the VM's data, which is the Docker engine's, fails: ${visibleLine(reason)}`)
    }
  }

  monitor.onEvent(({ event, data }) => {
    if (event === 'BLOCK_IO_ERROR' && v.is(diskError, data)) takeDiskError(v.parse(diskError, data))
    // One that stays when its guest has ended (`stayAtGuestsEnd`) is told to end afterwards.
    if (event === 'SHUTDOWN' && v.is(shutdown, data)) shutdownReason ??= data.reason
  })
  monitor.execute('query-status').then(
    (answer) => {
      if (v.is(runState, answer) && answer.status === 'io-error') onLost(diskFull)
    },
    // It has ended, which others tell.
    () => {},
  )
  return {
    get shutdownReason() {
      return shutdownReason
    },
    heardOut: () => reasonInTime(monitor.gone, undefined),
  }
}
