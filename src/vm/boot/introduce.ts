import { randomBytes } from 'node:crypto'
import type { ControlConnection } from '../../qemu/index.ts'
import { dropbearPrivateKey, generateKeyPair, publicKeyLine, type SshKeyPair } from '../../ssh/index.ts'

export interface Introduction {
  readonly control: ControlConnection
  readonly hostname: string
  readonly signal: AbortSignal
}

/** The pairs of one VM: with their public halves, its owner and its SSH server know each other. */
export interface GuestKeys {
  readonly hostKey: SshKeyPair
  readonly clientKey: SshKeyPair
}

/** Makes the keys of this VM and pushes its identity. The private host key leaves this process only towards its guest. */
export async function introduce({ control, hostname, signal }: Introduction): Promise<GuestKeys> {
  const hostKey = generateKeyPair()
  const clientKey = generateKeyPair()
  const identity = {
    hostname,
    machineId: randomBytes(16).toString('hex'),
    hostKey: dropbearPrivateKey(hostKey),
    authorizedKey: publicKeyLine(clientKey),
    entropy: randomBytes(32),
  }
  await control.pushIdentity(identity, signal)
  return { hostKey, clientKey }
}
