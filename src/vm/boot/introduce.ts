import { randomBytes } from 'node:crypto'
import type { ControlConnection } from '../../qemu/index.ts'
import { dropbearPrivateKey, generateKeyPair, publicKeyLine, type SshKeyPair } from '../../ssh/index.ts'

export interface Introduction {
  readonly control: ControlConnection
  readonly hostname: string
  readonly keys: GuestKeys
  readonly signal: AbortSignal
}

/** The pairs of one VM: with their public halves, its owner and its SSH server know each other. */
export interface GuestKeys {
  readonly hostKey: SshKeyPair
  readonly clientKey: SshKeyPair
}

export function makeGuestKeys(): GuestKeys {
  return { hostKey: generateKeyPair(), clientKey: generateKeyPair() }
}

/** Pushes a VM's identity. The private host key leaves this process only towards its guest. */
export async function introduce({ control, hostname, keys, signal }: Introduction): Promise<void> {
  const identity = {
    hostname,
    machineId: randomBytes(16).toString('hex'),
    hostKey: dropbearPrivateKey(keys.hostKey),
    authorizedKey: publicKeyLine(keys.clientKey),
    entropy: randomBytes(32),
  }
  await control.pushIdentity(identity, signal)
}
