import type { ForwardedSocket, Forwards } from '../../forward/index.ts'
import type { Box } from '../../host/index.ts'
import type { Disposals } from '../../lifetime/index.ts'
import type { ControlConnection, DiskRange, QmpConnection } from '../../qemu/index.ts'
import type { SshKeyPair } from '../../ssh/index.ts'
import type { SshAccess, Streams } from '../../streams/index.ts'
import type { ConsoleLog } from '../death/console-log.ts'
import type { DeathWatch } from '../death/death.ts'
import type { KernelReports } from '../kernel-reports.ts'
import type { RunDirectory } from './run-directory.ts'

/** A guest that runs, or that is there to be restored. */
export interface Guest extends DeathWatch {
  readonly control: ControlConnection
  /** Of its QEMU; open as long as the VM lives, and its waits end with that. */
  readonly monitor: QmpConnection
  readonly box: Box
  /** Aborts when the start is called off or the guest dies. */
  readonly signal: AbortSignal
  /** Where on its fourth disk the images are that it is to load. */
  readonly images: readonly DiskRange[]
  /** A restored guest did what it was asked: from now on its end is a death, and no fault of the template. */
  proven(): void
}

/** What a VM and its owner know each other by: a secret at its door, and the public halves of two pairs over SSH. */
export interface GuestKeys {
  readonly doorSecret: string
  readonly hostKey: SshKeyPair
  readonly clientKey: SshKeyPair
}

/** A VM whose dockerd answers, and what hangs on it. */
export interface BootedVm {
  /** Ends it all: forward, connection, box, directory. */
  readonly disposals: Disposals
  readonly guest: Guest
  /** The ways into the guest. */
  readonly streams: Streams
  readonly ssh: SshAccess
  readonly keys: GuestKeys
  readonly forwards: Forwards
  readonly docker: ForwardedSocket
  readonly hostname: string
  /** With the sockets of QEMU and of the forwards. */
  readonly runDirectory: RunDirectory
  /** Where what its containers publish is reached from this machine. */
  readonly address: string
  /** Aborts when the VM is gone without having been ended; its reason is the error that says why. */
  readonly gone: AbortSignal
  readonly console: Pick<ConsoleLog, 'path' | 'follow'>
  readonly kernelReports: KernelReports
}
