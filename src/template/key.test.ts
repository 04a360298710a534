import { expect, test } from 'vitest'
import { amd64 } from '../arch/amd64/index.ts'
import { type TemplateInputs, templateKey } from './key.ts'

const inputs: TemplateInputs = {
  imageId: 'sha256:1',
  arch: amd64,
  memoryMib: 2048,
  cpus: 2,
  scratchMib: 8192,
  cgroup: 1,
  accelerator: { kind: 'tcg', counterKhz: 2_596_134 },
  hostCpu: 'EPYC',
  preloaded: ['sha256:2'],
}

test('equal inputs have one key, in whatever order they are written', () => {
  const { imageId, ...rest } = inputs
  expect(templateKey({ ...rest, imageId })).toBe(templateKey(inputs))
})

test.each<[string, Partial<TemplateInputs>]>([
  ['image', { imageId: 'sha256:3' }],
  ['architecture', { arch: { ...amd64, name: 'arm64' } }],
  ['memory', { memoryMib: 4096 }],
  ['CPUs', { cpus: 1 }],
  ['disk', { scratchMib: 4096 }],
  ['cgroup version', { cgroup: 2 }],
  ['accelerator', { accelerator: { kind: 'kvm' } }],
  ['rate of the counter', { accelerator: { kind: 'tcg', counterKhz: 3_000_000 } }],
  ['preloaded images', { preloaded: [] }],
])('another %s is another template', (_, change) => {
  expect(templateKey({ ...inputs, ...change })).not.toBe(templateKey(inputs))
})

test('a counter that was measured a little differently is the same', () => {
  expect(templateKey({ ...inputs, accelerator: { kind: 'tcg', counterKhz: 2_596_201 } })).toBe(templateKey(inputs))
})

test('the CPU of the machine counts under KVM alone', () => {
  const kvm: TemplateInputs = { ...inputs, accelerator: { kind: 'kvm' } }
  expect(templateKey({ ...kvm, hostCpu: 'Xeon' })).not.toBe(templateKey(kvm))
  expect(templateKey({ ...inputs, hostCpu: 'Xeon' })).toBe(templateKey(inputs))
})
