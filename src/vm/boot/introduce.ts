import { randomBytes } from 'node:crypto'
import type { ControlConnection } from '../../qemu/index.ts'
import { dropbearPrivateKey, generateKeyPair, publicKeyLine, type SshKeyPair } from '../../ssh/index.ts'
import { makeDoorSecret } from '../../streams/index.ts'

/** What a VM and its owner know each other by: a secret at its door, and the public halves of two pairs over SSH. */
export interface GuestKeys {
  readonly doorSecret: string
  readonly hostKey: SshKeyPair
  readonly clientKey: SshKeyPair
}

export function makeGuestKeys(): GuestKeys {
  return { doorSecret: makeDoorSecret(), hostKey: generateKeyPair(), clientKey: generateKeyPair() }
}

/** Lets in who has the secret. */
export function openDoor({ doorSecret }: GuestKeys, control: ControlConnection): void {
  control.openDoor({ doorSecret, entropy: randomBytes(32) })
}

export interface Introduction {
  readonly control: ControlConnection
  readonly keys: GuestKeys
  readonly hostname: string
  readonly signal: AbortSignal
}

/** Makes a guest itself in all else. The private host key leaves this process only towards its guest. */
export async function introduce({ control, keys, hostname, signal }: Introduction): Promise<void> {
  const identity = {
    hostname,
    machineId: randomBytes(16).toString('hex'),
    hostKey: dropbearPrivateKey(keys.hostKey),
    authorizedKey: publicKeyLine(keys.clientKey),
  }
  await control.pushIdentity(identity, signal)
}
