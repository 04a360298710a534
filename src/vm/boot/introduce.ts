import { randomBytes } from 'node:crypto'
import type { ControlConnection } from '../../qemu/index.ts'
import { dropbearPrivateKey, generateKeyPair, publicKeyLine, type SshKeyPair } from '../../ssh/index.ts'

/** The pairs of one VM: with their public halves, its owner and its SSH server know each other. */
export interface GuestKeys {
  readonly hostKey: SshKeyPair
  readonly clientKey: SshKeyPair
}

export function makeGuestKeys(): GuestKeys {
  return { hostKey: generateKeyPair(), clientKey: generateKeyPair() }
}

/** Lets the owner of the keys in. The private host key leaves this process only towards its guest. */
export function admit({ hostKey, clientKey }: GuestKeys, control: ControlConnection): void {
  control.admit({
    hostKey: dropbearPrivateKey(hostKey),
    authorizedKey: publicKeyLine(clientKey),
    entropy: randomBytes(32),
  })
}

export interface Introduction {
  readonly control: ControlConnection
  readonly hostname: string
  readonly signal: AbortSignal
}

/** Makes a guest itself in all that is not its keys. */
export async function introduce({ control, hostname, signal }: Introduction): Promise<void> {
  await control.pushIdentity({ hostname, machineId: randomBytes(16).toString('hex') }, signal)
}
