import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { amd64 } from '../../arch/amd64/index.ts'
import { silentLogger } from '../../log/index.ts'
import { parseKernelEntry } from '../../options/index.ts'
import type { Session } from '../session.ts'
import { chooseAccelerator } from './choose.ts'
import type { AcceleratorVerdict } from './probe.ts'
import { rememberVerdict, verdictFile } from './remembered.ts'

const image = 'testkernels/vm:a'
const works: AcceleratorVerdict = { kvm: 'works', reason: '', counterKhz: 2_000_000 }
const fails: AcceleratorVerdict = { kvm: 'fails', reason: 'the machine has no /dev/kvm', counterKhz: 2_000_000 }
let cacheDirectory: string

beforeEach(async () => {
  cacheDirectory = await mkdtemp(join(tmpdir(), 'tk-choose-'))
})

afterEach(() => rm(cacheDirectory, { recursive: true }))

/** The host says nothing but who it is: a probe would fail. */
async function choose(asked: 'auto' | 'kvm' | 'tcg', verdict: AcceleratorVerdict) {
  const host = { arch: amd64, identity: async () => ['amd64', 'engine', '6.1.0', ''] }
  const session = { host, settings: { cacheDirectory } } as unknown as Session
  await rememberVerdict(verdictFile(cacheDirectory, [image, 'amd64', 'engine', '6.1.0', '']), verdict)
  const entry = parseKernelEntry('old', { kernel: 'debian:bookworm', accelerator: asked })
  return await chooseAccelerator({ session, entry, image, log: silentLogger, signal: new AbortController().signal })
}

test('KVM where a guest ran with it', async () => {
  expect(await choose('auto', works)).toEqual({ accelerator: { kind: 'kvm' }, why: 'KVM: a guest ran with it' })
  expect(await choose('kvm', works)).toMatchObject({ accelerator: { kind: 'kvm' } })
})

test('software emulation else, with the reason and the rate of the counter', async () => {
  expect(await choose('auto', fails)).toEqual({
    accelerator: { kind: 'tcg', counterKhz: 2_000_000 },
    why: 'software emulation (TCG), because the machine has no /dev/kvm',
  })
})

test('software emulation when asked for, although KVM works', async () => {
  expect(await choose('tcg', works)).toMatchObject({
    accelerator: { kind: 'tcg' },
    why: expect.stringContaining('asked for'),
  })
})

test('KVM that was asked for by name and does not work is an error with the reason', async () => {
  await expect(choose('kvm', fails)).rejects.toMatchObject({
    code: 'KVM_UNAVAILABLE',
    entry: 'old',
    message: expect.stringContaining('KVM does not work here: the machine has no /dev/kvm'),
  })
})
