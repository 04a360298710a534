import { createSign, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { isIP, isIPv4 } from 'node:net'

export interface Identity {
  /** PEM. */
  readonly cert: string
  readonly key: string
}

export interface Authority extends Identity {
  /** @param hosts names and addresses */
  issue(commonName: string, hosts?: readonly string[]): Identity
}

/** A certificate authority for one test: Node can read certificates, but not make them. */
export function createAuthority(commonName: string): Authority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const isAuthority = extension('551d13', sequence(der(0x01, Buffer.of(0xff))), 'critical')
  const own = certify({
    subject: commonName,
    issuer: commonName,
    keys,
    signer: keys.privateKey,
    extensions: [isAuthority],
  })
  return {
    ...own,
    issue: (subject, hosts = []) => {
      const issued = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const names = extension('551d11', sequence(...hosts.map(subjectName)))
      const extensions = hosts.length === 0 ? [] : [names]
      return certify({ subject, issuer: commonName, keys: issued, signer: keys.privateKey, extensions })
    },
  }
}

/** A `GeneralName` of RFC 5280. */
function subjectName(host: string): Buffer {
  if (isIP(host) === 0) return der(0x82, Buffer.from(host))
  return der(0x87, isIPv4(host) ? Buffer.from(host.split('.').map(Number)) : ipv6Bytes(host))
}

function ipv6Bytes(address: string): Buffer {
  // A URL has the address without its dotted part.
  const [head = [], tail = []] = new URL(`http://[${address}]`).hostname
    .slice(1, -1)
    .split('::')
    .map((half) => half.split(':').filter((group) => group !== ''))
  const groups = [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => '0'), ...tail]
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex')
}

interface Certificate {
  readonly subject: string
  readonly issuer: string
  readonly keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }
  readonly signer: KeyObject
  readonly extensions: readonly Buffer[]
}

/** RFC 5280, version 3, signed with ECDSA and SHA-256. */
function certify({ subject, issuer, keys, signer, extensions }: Certificate): Identity {
  const algorithm = sequence(oid('2a8648ce3d040302'))
  const content = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    algorithm,
    name(issuer),
    sequence(time(-1), time(1)),
    name(subject),
    keys.publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions))]),
  )
  const signature = createSign('sha256').update(content).sign(signer)
  const certificate = sequence(content, algorithm, der(0x03, Buffer.concat([Buffer.of(0), signature])))
  const lines = certificate
    .toString('base64')
    .match(/.{1,64}/g)
    ?.join('\n')
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content])
  const size = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...size), content])
}

const sequence = (...parts: readonly Buffer[]) => der(0x30, Buffer.concat(parts))
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'))
const name = (commonName: string) => sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(commonName)))))

function time(daysFromNow: number): Buffer {
  const date = new Date(Date.now() + daysFromNow * 86_400_000)
  return der(0x18, Buffer.from(`${date.toISOString().replaceAll(/\D/g, '').slice(0, 14)}Z`))
}

function extension(id: string, content: Buffer, criticality?: 'critical'): Buffer {
  const critical = criticality === undefined ? [] : [der(0x01, Buffer.of(0xff))]
  return sequence(oid(id), ...critical, der(0x04, content))
}
