import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'

const keyType = 'ssh-ed25519'

/** An ed25519 key pair; made anew for every VM and kept in memory. */
export interface SshKeyPair {
  /** The 32 secret bytes that the private key is derived from. */
  readonly seed: Uint8Array
  /** The 32 bytes of the public key. */
  readonly publicKey: Uint8Array
}

export function generateKeyPair(): SshKeyPair {
  const { d, x } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  return { seed: Buffer.from(d as string, 'base64url'), publicKey: Buffer.from(x as string, 'base64url') }
}

/** The public key as it travels in the SSH protocol and, in base64, in key files (RFC 8709, section 4). */
export function publicKeyBlob(publicKey: Uint8Array): Buffer {
  return Buffer.concat([sshString(keyType), sshString(publicKey)])
}

/** One line of an `authorized_keys` file, without its line end. */
export function publicKeyLine(key: SshKeyPair, comment = 'testkernels'): string {
  return `${keyType} ${publicKeyBlob(key.publicKey).toString('base64')} ${comment}`
}

/** The key's fingerprint as `ssh` prints it; quoted in errors. */
export function fingerprint(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}

/**
 * The private key as a PEM block in OpenSSH's own format, not encrypted. It is what `ssh -i` reads, and the only form of an
 * ed25519 key that ssh2 reads.
 */
export function opensshPrivateKey(key: SshKeyPair, comment = 'testkernels'): string {
  const publicBlob = publicKeyBlob(key.publicKey)
  const check = randomBytes(4)
  const secret = Buffer.concat([check, check, publicBlob, sshString(seedAndPublic(key)), sshString(comment)])
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, (8 - (secret.length % 8)) % 8))
  const blob = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    sshString('none'), // cipher
    sshString('none'), // key derivation
    sshString(''), // its options
    sshUint32(1), // keys that follow
    sshString(publicBlob),
    sshString(Buffer.concat([secret, padding])),
  ])
  const lines = blob.toString('base64').match(/.{1,70}/g) ?? []
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n')
}

/** The private key as the file that Dropbear reads its host key from. */
export function dropbearPrivateKey(key: SshKeyPair): Buffer {
  return Buffer.concat([sshString(keyType), sshString(seedAndPublic(key))])
}

function seedAndPublic({ seed, publicKey }: SshKeyPair): Buffer {
  return Buffer.concat([seed, publicKey])
}

/** An SSH `string`: its length as a big-endian uint32, then its bytes (RFC 4251, section 5). */
function sshString(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([sshUint32(bytes.length), bytes])
}

function sshUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
