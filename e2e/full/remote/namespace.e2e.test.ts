// An engine in a network of its own: what is between it and this machine is a link of the test's, which can be cut.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { connectEngine, containerEvents, resolveEngineAddress } from '../../../src/engine/index.ts'
import { canIsolate, linkTo, startIsolatedEngine } from '../../support/isolated-engine.ts'
import { Certificates } from '../../support/remote-engine.ts'

const run = promisify(execFile)

/** For documentation (RFC 5737), so that no network has them. */
const [HERE, THERE] = ['198.51.100.1', '198.51.100.2']
const PORT = 2375
/** The name of both its ends. */
const LINK = `tk-e2e-${process.pid}`
/** Beyond that after which a silent machine is gone. */
const TEST_TIMEOUT_MS = 300_000

const certificates = await Certificates.make(THERE)
afterAll(() => certificates[Symbol.asyncDispose]())

const kinds = {
  tcp: { flags: [], environment: {} },
  tls: {
    flags: [
      '--tlsverify',
      ...['--tlscacert', certificates.file('ca')],
      ...['--tlscert', certificates.file('server-cert'), '--tlskey', certificates.file('server-key')],
    ],
    environment: { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: certificates.directory },
  },
}

const setLink = (state: 'up' | 'down') => run('ip', ['link', 'set', LINK, state])

test.runIf(canIsolate).each(['tcp', 'tls'] as const)(
  'over %s: a link that is cut is noticed, and once it is mended the engine is connected to',
  { timeout: TEST_TIMEOUT_MS },
  async (kind) => {
    const { flags, environment } = kinds[kind]
    await using isolated = await startIsolatedEngine({ flags: ['--host', `tcp://0.0.0.0:${PORT}`, ...flags] })
    await using _link = await linkTo(isolated, { name: LINK, here: HERE, there: THERE })
    const { address } = await resolveEngineAddress({ DOCKER_HOST: `tcp://${THERE}:${PORT}`, ...environment })
    const engine = await connectEngine({ address })
    expect(engine.locality).toBe('remote')
    // A stream on which nothing comes: who only listens has to ask whether anybody is there.
    const events = await containerEvents(engine, { events: ['rename'] })
    const failed = new Promise<NodeJS.ErrnoException>((resolve) => events.once('error', resolve))
    events.resume()
    await setLink('down')
    expect((await failed).code).toBe('ECONNRESET')
    await setLink('up')
    expect((await connectEngine({ address })).id).toBe(engine.id)
  },
)
