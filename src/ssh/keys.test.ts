import ssh2 from 'ssh2'
import { expect, test } from 'vitest'
import {
  dropbearPrivateKey,
  fingerprint,
  generateKeyPair,
  opensshPrivateKey,
  publicKeyBlob,
  publicKeyLine,
} from './keys.ts'

// Made by `dropbearkey -t ed25519` of Dropbear 2025.89, and what `dropbearkey -y` and `ssh-keygen -l` say of it.
const dropbearFile =
  'AAAAC3NzaC1lZDI1NTE5AAAAQNFDW6q4sY7SiC1k8ydxyWGhWYD/LcUZizQrpCrY6/+mBhK74iDDkxqQybGbltLduA7XFGFPcDV4xrcEl8Frxlk='
const publicPart = 'AAAAC3NzaC1lZDI1NTE5AAAAIAYSu+Igw5MakMmxm5bS3bgO1xRhT3A1eMa3BJfBa8ZZ'
const printedFingerprint = 'SHA256:5Em8hwPTqPUA6IsV0lfaU9aZDstcizo+KEktVh7wc0Y'

const secret = Buffer.from(dropbearFile, 'base64').subarray(-64)
const vector = { seed: secret.subarray(0, 32), publicKey: secret.subarray(32) }

test('writes the very file that dropbearkey writes', () => {
  expect(dropbearPrivateKey(vector).toString('base64')).toBe(dropbearFile)
})

test('writes the public line that dropbearkey prints', () => {
  expect(publicKeyLine(vector, 'root@vm')).toBe(`ssh-ed25519 ${publicPart} root@vm`)
})

test('prints the fingerprint that ssh prints', () => {
  expect(fingerprint(publicKeyBlob(vector.publicKey))).toBe(printedFingerprint)
})

test('writes a private key that ssh2 signs with and the public key verifies', () => {
  const parsed = ssh2.utils.parseKey(opensshPrivateKey(vector))
  if (parsed instanceof Error) throw parsed
  expect(parsed.getPublicSSH().toString('base64')).toBe(publicPart)
  expect(parsed.comment).toBe('testkernels')
  const pub = ssh2.utils.parseKey(publicKeyLine(vector))
  if (pub instanceof Error) throw pub
  expect(pub.verify('message', parsed.sign('message'))).toBe(true)
})

test('every pair is new, and its secret fits its public key', () => {
  const first = generateKeyPair()
  const second = generateKeyPair()
  expect(first.seed).toHaveLength(32)
  expect(first.publicKey).toHaveLength(32)
  expect(first.seed).not.toEqual(second.seed)
  const key = ssh2.utils.parseKey(opensshPrivateKey(first))
  const pub = ssh2.utils.parseKey(publicKeyLine(first))
  if (key instanceof Error || pub instanceof Error) throw key
  expect(pub.verify('message', key.sign('message'))).toBe(true)
})
