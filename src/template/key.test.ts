import { expect, test } from 'vitest'
import { amd64 } from '../arch/amd64.ts'
import type { Machine } from '../qemu/index.ts'
import { type TemplateInputs, templateKey } from './location.ts'

const inputs: TemplateInputs = {
  imageId: 'sha256:1',
  machine: {
    arch: amd64,
    transport: 'mmio',
    accelerator: { kind: 'tcg', counterKhz: 2_596_134 },
    memoryMib: 2048,
    cpus: 2,
    cgroup: 1,
  },
  scratchMib: 8192,
  hostCpu: 'EPYC',
  preloaded: ['sha256:2'],
}

function on(change: Partial<Machine>): Pick<TemplateInputs, 'machine'> {
  return { machine: { ...inputs.machine, ...change } }
}

test('equal inputs have one key, in whatever order they are written', () => {
  const { imageId, ...rest } = inputs
  expect(templateKey({ ...rest, imageId })).toBe(templateKey(inputs))
})

test.each<[string, Partial<TemplateInputs>]>([
  ['image', { imageId: 'sha256:3' }],
  ['disk', { scratchMib: 4096 }],
  ['architecture', on({ arch: { ...amd64, name: 'arm64' } })],
  ['transport', on({ transport: 'pci' })],
  ['memory', on({ memoryMib: 4096 })],
  ['CPUs', on({ cpus: 1 })],
  ['cgroup version', on({ cgroup: 2 })],
  ['kernel argument', on({ kernelArguments: ['nosmt'] })],
  ['accelerator', on({ accelerator: { kind: 'kvm' } })],
  ['rate of the counter', on({ accelerator: { kind: 'tcg', counterKhz: 3_000_000 } })],
  ['device', on({ controlSocket: '/run/testkernels/control.sock' })],
  ['preloaded images', { preloaded: [] }],
])('another %s is another template', (_, change) => {
  expect(templateKey({ ...inputs, ...change })).not.toBe(templateKey(inputs))
})

test('a counter that was measured a little differently is the same', () => {
  expect(templateKey({ ...inputs, ...on({ accelerator: { kind: 'tcg', counterKhz: 2_596_201 } }) })).toBe(
    templateKey(inputs),
  )
})

test('the CPU of the machine counts under KVM alone', () => {
  const kvm: TemplateInputs = { ...inputs, ...on({ accelerator: { kind: 'kvm' } }) }
  expect(templateKey({ ...kvm, hostCpu: 'Xeon' })).not.toBe(templateKey(kvm))
  expect(templateKey({ ...inputs, hostCpu: 'Xeon' })).toBe(templateKey(inputs))
})
