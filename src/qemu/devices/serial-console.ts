import type { Architecture } from '../../arch/index.ts'
import type { Device } from './device.ts'

/**
 * The first serial port, on QEMU's standard output: the container's log is the guest's console. The kernel writes its
 * panics here, so the host can quote them.
 */
export function serialConsole({ qemu }: Architecture): Device {
  return {
    qemu: ['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    kernel: [`console=${qemu.console}`],
  }
}
