// What a guest's SSH server says before it has proved who it is, as far as ssh2 lets: it fails the connection, and nothing else.
import { duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { TestkernelsError } from '../../src/errors/index.ts'
import { connectSsh, generateKeyPair } from '../../src/ssh/index.ts'
import { fuzz } from './fuzz.ts'

test('SSH packets', async () => {
  const banner = 'SSH-2.0-dropbear_2024.86\r\n'
  const kexInit = Buffer.concat([Buffer.of(0, 0, 0, 28, 4, 20), Buffer.alloc(16, 7), Buffer.alloc(10)])
  const seeds = [banner, Buffer.concat([Buffer.from(banner), kexInit]), Buffer.of(0, 0, 0, 12, 10, 1, 0, 0, 0, 2)]
  const [hostKey, clientKey] = [generateKeyPair(), generateKeyPair()]
  const take = async (input: Buffer) => {
    const [ours, theirs] = duplexPair()
    theirs.on('error', () => {})
    theirs.resume()
    theirs.end(input)
    const stop = new AbortController()
    ours.once('end', () => stop.abort(new Error('over')))
    ours.once('close', () => stop.abort(new Error('over')))
    const connecting = connectSsh({
      dial: async () => ours,
      server: 'the guest',
      user: 'root',
      hostPublicKey: hostKey.publicKey,
      clientKey,
      signal: stop.signal,
    })
    // Not by `rejects`: Vitest keeps each such assertion until its test ends.
    expect(await connecting.catch((thrown: unknown) => thrown)).toBeInstanceOf(TestkernelsError)
    ours.destroy()
  }
  expect(await fuzz({ name: 'SSH packets', seeds, take })).toBeGreaterThan(0)
})
