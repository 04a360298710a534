import { TestkernelsError } from '../errors/index.ts'

/** QEMU refused a command of its monitor, or went away while it did it. */
export class QemuCommandError extends TestkernelsError {
  readonly code = 'QEMU_COMMAND_FAILED'
}
