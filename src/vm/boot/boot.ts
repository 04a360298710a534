import { startDeadline } from '../../lifetime/index.ts'
import { NoSignOfLifeError } from '../errors.ts'
import { type BootedVm, bootOnce } from './boot-once.ts'
import type { BootOptions } from './boot-options.ts'
import { bootTimeout } from './boot-timeout.ts'

const STARTS = 3

/**
 * Boots the guest of an entry until its dockerd answers.
 * @throws BootTimeoutError; DockerdFailedError; VmDiedError; DeviceMissingError; SshHostKeyMismatchError
 */
export async function bootVm(options: BootOptions): Promise<BootedVm> {
  return await untilAlive(options, (signal) => bootOnce({ ...options, signal }, { kind: 'cold' }))
}

/** Does what boots a guest, within its deadline. A guest that shows no sign of life is started again. */
export async function untilAlive<T>(
  { entry, log, signal }: BootOptions,
  start: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  using deadline = startDeadline({ ms: entry.bootTimeoutMs, signal, onPassed: () => bootTimeout(entry) })
  for (let starts = 1; ; starts++) {
    try {
      return await start(deadline.signal)
    } catch (thrown) {
      if (!(thrown instanceof NoSignOfLifeError) || starts === STARTS) throw thrown
      log.warn(`${thrown.message}\n  starting it again`)
    }
  }
}
