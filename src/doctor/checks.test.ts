// What is said of an engine, its images and VMs that a test makes up. The same with real ones: e2e/doctor.
import * as fs from 'node:fs/promises'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { amd64 } from '../arch/amd64.ts'
import { DeviceMissingError, type EngineView } from '../host/index.ts'
import { FakeHost, type FakeHostOptions } from '../host/testing/fake-host.ts'
import { silentLogger } from '../log/index.ts'
import { parseKernelEntry, readSettings } from '../options/index.ts'
import { newSession, newStart } from '../vm/index.ts'
import type { Check, DoctorContext, Finding } from './check.ts'
import { counted, engine, engineStorage, leftovers } from './engine.ts'
import { checks } from './index.ts'
import { memory } from './machine.ts'
import { kvm, start, tun } from './vms.ts'

vi.mock(import('node:fs/promises'), { spy: true })

let home = ''

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tk-doctor-'))
})

afterEach(async () => {
  await rm(home, { recursive: true, force: true })
})

function withEngine(check: Check, options: FakeEngineOptions): Promise<Finding> {
  const engine = fakeEngine(options)
  return check.examine(fakeContext({ engine: async () => engine }), new AbortController().signal)
}

test('every check has an id of its own', () => {
  expect(new Set(checks.map(({ id }) => id)).size).toBe(checks.length)
})

test.each([
  [4096, 'ok'],
  [900, 'warning'],
  [100, 'failure'],
])('%i MiB of memory for an entry that boots in 1 GiB: %s', async (availableMib, status) => {
  const finding = await withEngine(memory, { availableMib: () => availableMib })
  expect(finding).toMatchObject({ status, message: expect.stringContaining('a boot needs 1.0 GiB') })
})

test('of an engine elsewhere it is told how its ports are reached', async () => {
  expect(await withEngine(engine, {})).toMatchObject({
    status: 'ok',
    message: expect.stringContaining('20.10.24 (API 1.41'),
  })
  expect(await withEngine(engine, { engine: { locality: 'remote' } })).toMatchObject({
    status: 'ok',
    message: expect.stringContaining('are forwarded to an address of this machine'),
  })
})

test('a storage driver that copies is a warning', async () => {
  expect(await withEngine(engineStorage, { engine: { storageDriver: 'vfs' } })).toMatchObject({
    status: 'warning',
    remedy: expect.stringContaining('overlay2'),
  })
})

test.each([
  [100, 'failure', 'and a saved VM needs'],
  [2_000, 'warning', 'and images and saved VMs take'],
  [200_000, 'ok', 'free'],
])("%i MiB on the engine's disk: %s", async (freeMib, status, message) => {
  const room = { bavail: freeMib * 256, bsize: 4096 } as Awaited<ReturnType<typeof fs.statfs>>
  vi.mocked(fs.statfs).mockResolvedValueOnce(room)
  expect(await withEngine(engineStorage, {})).toMatchObject({ status, message: expect.stringContaining(message) })
})

test('leftovers are counted, and prune named', async () => {
  const one = { kind: 'container', id: '1', name: 'a' } as const
  const abandoned = [one, { ...one, id: '2' }, { ...one, kind: 'volume' } as const]
  expect(await withEngine(leftovers, { abandoned })).toEqual({
    status: 'warning',
    message: 'runs that ended left 2 containers, 1 volume',
    remedy: '`testkernels prune` removes it, and so does the next start',
  })
  expect(await withEngine(leftovers, {})).toMatchObject({ status: 'ok' })
  expect(counted(['run directory', 'run directory'])).toBe('2 run directories')
})

test('tun is opened in a container as a VM has it', async () => {
  const seen: unknown[] = []
  const program: FakeEngineOptions['program'] = (box) => {
    seen.push(box.spec.devices)
    box.exit(0)
  }
  expect(await withEngine(tun, { program })).toMatchObject({ status: 'ok' })
  expect(seen).toEqual([['/dev/net/tun']])
})

test('a tun without its driver is a failure with the reason', async () => {
  const program: FakeEngineOptions['program'] = (box) => {
    box.complain('sh: 1: cannot open /dev/net/tun: No such device')
    box.exit(2)
  }
  expect(await withEngine(tun, { program })).toMatchObject({
    status: 'failure',
    message: expect.stringContaining('No such device'),
    remedy: expect.stringContaining('modprobe tun'),
  })
})

/** A machine on which nothing is remembered. */
const probing = () => ({ TESTKERNELS_CACHE_DIR: join(home, 'cache'), TESTKERNELS_KVM_PROBE_TIMEOUT_MS: '100' })

function probe(program: FakeEngineOptions['program'], host: FakeEngineOptions['host'] = {}): Promise<Finding> {
  const settings = readSettings(probing())
  const engine = fakeEngine({ ...(program && { program }), host })
  return kvm.examine(fakeContext({ settings, engine: async () => engine }), new AbortController().signal)
}

test('KVM works when a guest ran with it', async () => {
  const finding = await probe((box) => {
    box.print('testkernels: counter_khz 2000000')
    box.print('testkernels: user space reached')
  })
  expect(finding).toEqual({ status: 'ok', message: 'works: a guest ran with it' })
})

test('a /dev/kvm that hangs its guests is a warning, and asked again the next time', async () => {
  const hangs: FakeEngineOptions['program'] = (box) => box.print('testkernels: counter_khz 2000000')
  expect(await probe(hangs)).toMatchObject({
    status: 'warning',
    message: expect.stringContaining('did not reach user space in 0.1 s'),
    remedy: expect.stringContaining('software emulation'),
  })
  const mended = await probe((box) => {
    box.print('testkernels: counter_khz 2000000')
    box.print('testkernels: user space reached')
  })
  expect(mended.status).toBe('ok')
})

test('a /dev/kvm that QEMU may not open comes with the rule of udev', async () => {
  const finding = await probe((box) => {
    box.print('testkernels: counter_khz 2000000')
    box.complain('qemu-system: Could not access KVM kernel module: Permission denied')
    box.exit(1)
  })
  expect(finding).toMatchObject({
    status: 'warning',
    message: expect.stringContaining('may not open'),
    remedy: expect.stringContaining('/etc/udev/rules.d/99-kvm4all.rules'),
  })
})

test('a machine without /dev/kvm or tun is told how to load the drivers', async () => {
  const missing = (device: string) =>
    new DeviceMissingError({ what: `no ${device}`, remedy: `load ${device}`, entry: 'doctor' })
  const without = (absent: string, program: FakeEngineOptions['program']) => {
    const whole = fakeEngine({ ...(program && { program }) }).host
    const run: typeof whole.run = async (spec, options) => {
      if (spec.devices?.includes(absent)) throw missing(absent)
      return await whole.run(spec, options)
    }
    return { run }
  }
  const unaccelerated: FakeEngineOptions['program'] = (box) => {
    box.print('testkernels: counter_khz 2000000')
    box.exit(0)
  }
  expect(await probe(unaccelerated, without('/dev/kvm', unaccelerated))).toMatchObject({
    status: 'warning',
    message: expect.stringContaining('has no /dev/kvm'),
    remedy: expect.stringContaining('modprobe'),
  })
  await expect(withEngine(tun, { host: without('/dev/net/tun', undefined) })).rejects.toMatchObject({
    code: 'DEVICE_MISSING',
    remedy: 'load /dev/net/tun',
  })
})

test('a start without an image says that one is built, and starts nothing', async () => {
  const engine = fakeEngine()
  const context = fakeContext({ engine: async () => engine, image: async () => undefined })
  expect(await start.examine(context, new AbortController().signal)).toMatchObject({
    status: 'ok',
    message: expect.stringContaining('its image is built first'),
  })
})

/** No directory can be made there, by root neither. */
const NOWHERE = '/dev/null/nowhere'

/** An engine that is well, and an image that is there; but for what a test says. */
function fakeContext(different: Partial<DoctorContext> = {}): DoctorContext {
  const { settings = readSettings({ TESTKERNELS_CACHE_DIR: NOWHERE, TESTKERNELS_RUN_DIR: NOWHERE }) } = different
  const entry = parseKernelEntry('doctor', { kernel: 'debian:trixie', memoryMib: 2048 })
  const engine = different.engine ?? (async () => fakeEngine())
  return {
    settings,
    entry,
    log: silentLogger,
    engine,
    session: async () => newSession((await engine()).host, { settings, log: silentLogger }),
    image: async () => 'testkernels/vm:fake',
    start: () => newStart({ log: silentLogger }, { hostname: 'doctor' }),
    ...different,
  }
}

interface FakeEngineOptions extends Partial<FakeHostOptions> {
  readonly engine?: Partial<EngineView['engine']>
  readonly host?: Partial<EngineView['host']>
  readonly abandoned?: Awaited<ReturnType<EngineView['abandoned']>>
}

function fakeEngine({ engine, host, abandoned = [], ...options }: FakeEngineOptions = {}): EngineView {
  const fake = new FakeHost({ program: (box) => box.exit(0), availableMib: () => 4096, ...options })
  return {
    host: host === undefined ? fake : Object.assign(fake, host),
    engine: {
      version: '20.10.24',
      apiVersion: '1.41',
      arch: amd64,
      id: 'fake',
      kernelVersion: '6.1.0',
      cgroupVersion: 2,
      registries: { mirrors: [], insecure: [], proxies: {} },
      cpuCount: 2,
      memoryMib: 8192,
      rootless: false,
      imageStore: 'graphdriver',
      storageDriver: 'overlay2',
      rootDirectory: '/',
      locality: 'local',
      ...engine,
    },
    address: 'unix:///fake.sock',
    source: 'DOCKER_HOST',
    abandoned: async () => abandoned,
    hasVolume: async () => false,
  }
}
