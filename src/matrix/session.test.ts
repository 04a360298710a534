import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { waitingFor } from '../lifetime/index.ts'
import { createLogger } from '../log/index.ts'
import { parseKernelEntry } from '../options/index.ts'
import { leaseForProject, type TestSession, testcontainersHostWarning } from './session.ts'

let home = ''

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tk-home-'))
})

afterEach(() => rm(home, { recursive: true }))

test.each([
  'tc.host=tcp://10.0.0.1:2375',
  ' tc.host = tcp://10.0.0.1:2375 ',
  'ryuk.disabled=true\r\ntc.host: tcp://10.0.0.1:2375',
])('warns of %j', async (text) => {
  await writeFile(join(home, '.testcontainers.properties'), text)
  expect(testcontainersHostWarning(home)).toContain('tc.host=tcp://10.0.0.1:2375 in ')
})

test.each(['', '# tc.host=tcp://10.0.0.1:2375', 'tc.host=', 'docker.host=tcp://10.0.0.1:2375'])(
  'accepts %j',
  async (text) => {
    await writeFile(join(home, '.testcontainers.properties'), text)
    expect(testcontainersHostWarning(home)).toBeUndefined()
  },
)

test('accepts that there is no such file', () => {
  expect(testcontainersHostWarning(home)).toBeUndefined()
})

test('a release that takes long says what keeps it', async () => {
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const lines: string[] = []
  const session = {
    vms: { lease: ({ name }: { name: string }) => ({ name, started: new Promise(() => {}), release: () => ended }) },
    fates: { follow: async () => ({ path: '', written: ended }) },
    reports: { takeUnclaimed: () => [] },
    kept: { has: () => false },
    open: new Set(),
    log: createLogger({ write: (line) => lines.push(line) }),
  } as unknown as TestSession
  const entries = [parseKernelEntry('v2', { kernel: 'debian:trixie' })]
  const wants = { entries, isolation: 'project', retryOn: 'same-vm', keepOnFailure: false, owner: undefined } as const
  const lease = await leaseForProject(session, { ...wants, workers: 1 })
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    using _wait = waitingFor('the Docker engine to answer DELETE /containers/x')
    const released = lease.release()
    await vi.advanceTimersByTimeAsync(8_000)
    expect(lines).toEqual(['still ending VMs\n  waiting for the Docker engine to answer DELETE /containers/x'])
    end()
    await released
    expect(vi.getTimerCount()).toBe(0)
  } finally {
    vi.useRealTimers()
  }
})
