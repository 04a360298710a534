import { startDeadline } from '../lifetime/index.ts'
import { type BootedVm, bootOnce } from './boot-once.ts'
import type { BootOptions } from './boot-options.ts'
import { bootTimeout } from './boot-timeout.ts'
import { NoSignOfLifeError } from './errors.ts'

const STARTS = 3

/**
 * Boots the guest of an entry until its dockerd answers. A guest that shows no sign of life is started again.
 * @throws BootTimeoutError; DockerdFailedError; VmDiedError; DeviceMissingError; SshHostKeyMismatchError
 */
export async function bootVm(options: BootOptions): Promise<BootedVm> {
  const { entry, log, signal } = options
  using deadline = startDeadline({ ms: entry.bootTimeoutMs, signal, onPassed: () => bootTimeout(entry) })
  for (let start = 1; ; start++) {
    try {
      return await bootOnce({ ...options, signal: deadline.signal })
    } catch (thrown) {
      if (!(thrown instanceof NoSignOfLifeError) || start === STARTS) throw thrown
      log.warn(`${thrown.message}\n  starting it again`)
    }
  }
}
