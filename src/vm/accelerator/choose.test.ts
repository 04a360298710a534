import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { silentLogger } from '../../log/index.ts'
import { parseKernelEntry } from '../../options/index.ts'
import type { Session } from '../session.ts'
import { chooseAccelerator } from './choose.ts'
import { probeAccelerator } from './probe.ts'
import type { AcceleratorVerdict } from './verdict.ts'

// The probe itself is a guest: e2e/kvm has one that runs with KVM.
vi.mock('./probe.ts', () => ({ probeAccelerator: vi.fn() }))
const probe = vi.mocked(probeAccelerator)

const works: AcceleratorVerdict = { kvm: 'works', reason: '', remedy: '', counterKhz: 2_000_000, about: 'machine' }
const hung: AcceleratorVerdict = {
  kvm: 'fails',
  reason: 'a guest hung',
  remedy: 'mend it',
  counterKhz: 2_000_000,
  about: 'image',
}
const none: AcceleratorVerdict = {
  output: '[    0.1] the last line',
  kvm: 'fails',
  reason: 'there is no device',
  remedy: 'load its driver',
  counterKhz: 2_000_000,
  about: 'machine',
}
let cacheDirectory: string
let session: Session

beforeEach(async () => {
  cacheDirectory = await mkdtemp(join(tmpdir(), 'tk-choose-'))
  session = sessionOf('engine')
  probe.mockReset()
})

afterEach(() => rm(cacheDirectory, { recursive: true }))

function sessionOf(machine: string): Session {
  const settings = { cacheDirectory, kvmProbeTimeoutMs: 10_000 }
  return { host: { identity: async () => [machine] }, settings } as unknown as Session
}

function choose(asked: 'auto' | 'kvm' | 'tcg', { image = 'testkernels/vm:a', on = session } = {}) {
  const entry = parseKernelEntry('old', { kernel: 'debian:bookworm', accelerator: asked })
  return chooseAccelerator({ session: on, entry, image, log: silentLogger, signal: new AbortController().signal })
}

test('KVM where a guest ran with it', async () => {
  probe.mockResolvedValue(works)
  expect(await choose('auto')).toEqual({ accelerator: { kind: 'kvm' }, why: 'KVM: a guest ran with it' })
  expect(await choose('kvm')).toMatchObject({ accelerator: { kind: 'kvm' } })
})

test('software emulation else, with the reason and the rate of the TSC', async () => {
  probe.mockResolvedValue(none)
  expect(await choose('auto')).toEqual({
    accelerator: { kind: 'tcg', counterKhz: 2_000_000 },
    why: 'software emulation (TCG), because there is no device',
  })
})

test('software emulation when asked for, although KVM works', async () => {
  probe.mockResolvedValue(works)
  expect(await choose('tcg')).toMatchObject({
    accelerator: { kind: 'tcg' },
    why: expect.stringContaining('asked for'),
  })
})

test('KVM that was asked for by name and does not work is an error with the reason', async () => {
  probe.mockResolvedValue(none)
  await expect(choose('kvm')).rejects.toMatchObject({
    code: 'KVM_UNAVAILABLE',
    entry: 'old',
    output: '[    0.1] the last line',
    message: expect.stringContaining('KVM does not work here: there is no device'),
  })
})

test.each([works, none])('what holds for the machine is asked once for all images ($kvm)', async (verdict) => {
  probe.mockResolvedValue(verdict)
  await choose('auto')
  await choose('auto', { image: 'testkernels/vm:b' })
  expect(probe).toHaveBeenCalledTimes(1)
  await choose('auto', { on: sessionOf('another') })
  expect(probe).toHaveBeenCalledTimes(2)
})

test('a guest that hung speaks for its image alone: its kernel may be to blame', async () => {
  probe.mockResolvedValueOnce(hung).mockResolvedValueOnce(works)
  await choose('auto')
  expect(await choose('auto', { image: 'testkernels/vm:b' })).toMatchObject({ accelerator: { kind: 'kvm' } })
  expect(probe).toHaveBeenCalledTimes(2)
})

test('an entry that asks for KVM by name after it failed has it probed again', async () => {
  probe.mockResolvedValueOnce(none).mockResolvedValueOnce(works)
  expect(await choose('auto')).toMatchObject({ accelerator: { kind: 'tcg' } })
  expect(await choose('kvm')).toMatchObject({ accelerator: { kind: 'kvm' } })
  expect(await choose('auto')).toMatchObject({ accelerator: { kind: 'kvm' } })
})

test.each(['auto', 'kvm'] as const)('entries that start side by side share one probe (%s)', async (asked) => {
  let answer = (_verdict: AcceleratorVerdict) => {}
  probe.mockReturnValue(new Promise((resolve) => (answer = resolve)))
  const chosen = Promise.allSettled([choose(asked), choose(asked, { image: 'testkernels/vm:b' }), choose(asked)])
  await vi.waitFor(() => expect(probe).toHaveBeenCalled())
  answer(none)
  const accepted = asked === 'auto' ? 'fulfilled' : 'rejected'
  expect((await chosen).map(({ status }) => status)).toEqual([accepted, accepted, accepted])
  expect(probe).toHaveBeenCalledTimes(1)
})

test('a probe that failed to run is not the verdict of those who waited for it', async () => {
  probe.mockRejectedValueOnce(new Error('the engine went away')).mockResolvedValueOnce(works)
  const both = await Promise.allSettled([choose('auto'), choose('auto')])
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(probe).toHaveBeenCalledTimes(2)
})
