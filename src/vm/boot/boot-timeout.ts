import type { KernelEntry } from '../../options/index.ts'
import type { ConsoleLog } from '../death/console-log.ts'
import { BootTimeoutError } from '../errors.ts'

/** The error for a boot that took too long. With the console, where the boot came so far as to have one. */
export function bootTimeout({ name, bootTimeoutMs }: KernelEntry, console?: ConsoleLog): BootTimeoutError {
  const where = console === undefined ? '' : `; console at ${console.path}`
  return new BootTimeoutError({
    what: `the VM was not ready within ${bootTimeoutMs / 1000} s${where}`,
    entry: name,
    remedy: 'give it more time with bootTimeoutMs (--boot-timeout-ms), or see in its console what it waits for',
    output: console?.tail(),
  })
}
