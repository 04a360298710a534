import { randomBytes } from 'node:crypto'
import type { KernelEntry } from '../options/index.ts'
import type { ControlConnection } from '../qemu/index.ts'
import { dropbearPrivateKey, generateKeyPair, publicKeyLine, type SshKeyPair } from '../ssh/index.ts'

export interface Introduction {
  readonly control: ControlConnection
  readonly entry: KernelEntry
  readonly signal: AbortSignal
}

/** Makes the keys of this VM and pushes its identity. The private host key leaves this process only towards its guest. */
export async function introduce({
  control,
  entry,
  signal,
}: Introduction): Promise<{ hostKey: SshKeyPair; clientKey: SshKeyPair }> {
  const hostKey = generateKeyPair()
  const clientKey = generateKeyPair()
  const identity = {
    hostname: entry.name,
    hostKey: dropbearPrivateKey(hostKey),
    authorizedKey: publicKeyLine(clientKey),
    entropy: randomBytes(32),
  }
  await control.pushIdentity(identity, signal)
  return { hostKey, clientKey }
}
