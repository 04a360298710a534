import pRetry, { AbortError } from 'p-retry'
import { startDeadline } from '../lifetime/index.ts'
import { type BootedVm, type BootOptions, bootOnce } from './boot-once.ts'
import { BootTimeoutError, NoSignOfLifeError } from './errors.ts'

const STARTS = 3

/**
 * Boots the guest of an entry until its dockerd answers. A guest that shows no sign of life is started again.
 * @throws BootTimeoutError; DockerdFailedError; VmDiedError; DeviceMissingError; SshHostKeyMismatchError
 */
export async function bootVm(options: BootOptions): Promise<BootedVm> {
  const { entry, log, signal } = options
  using deadline = startDeadline({
    ms: entry.bootTimeoutMs,
    signal,
    onPassed: () => new BootTimeoutError(timeout(entry)),
  })
  return await pRetry(() => bootOnce({ ...options, signal: deadline.signal }).catch(unlessWorthAnother), {
    retries: STARTS - 1,
    minTimeout: 0,
    signal: deadline.signal,
    onFailedAttempt: ({ error, retriesLeft }) => {
      if (retriesLeft > 0 && error instanceof NoSignOfLifeError) log.warn(`${error.message}\n  starting it again`)
    },
  })
}

function timeout({ name, bootTimeoutMs }: { name: string; bootTimeoutMs: number }) {
  return {
    what: `the VM was not ready within ${bootTimeoutMs / 1000} s`,
    entry: name,
    remedy: 'give it more time with bootTimeoutMs, or read its console for what it waits for',
  }
}

function unlessWorthAnother(thrown: Error): never {
  throw thrown instanceof NoSignOfLifeError ? thrown : new AbortError(thrown)
}
