import { expect, test } from 'vitest'
import type { RunningVm } from '../vm/index.ts'
import { chooseVm } from './shell.ts'

const vm = (name: string, hostname: string, id: string): RunningVm => ({
  ...{ name, hostname, id, kernel: 'debian:bookworm' },
  connect: () => Promise.reject(new Error('nobody connects')),
})
const first = vm('cgroupv1', 'cgroupv1', '10-aaaaaa')
const fork = vm('cgroupv1', 'cgroupv1-3fa2c1', '10-bbbbbb')
const other = vm('cgroupv2', 'cgroupv2', '11-cccccc')
const running = [first, fork, other]

test.each<[string | undefined, readonly RunningVm[], RunningVm]>([
  [undefined, [other], other],
  ['cgroupv1', running, first],
  ['cgroupv1-3fa2c1', running, fork],
  ['11-cccccc', running, other],
  ['cgroupv1', [fork, other], fork],
])('%s of those that run is one', (name, among, expected) => {
  expect(chooseVm(name, { running: among, silent: [] })).toBe(expected)
})

test('several are listed, with what tells them apart', () => {
  const refused = { code: 'VM_NOT_FOUND', what: 'several virtual machines run' }
  expect(() => chooseVm(undefined, { running, silent: [] })).toThrow(expect.objectContaining(refused))
  const twice = [other, vm('cgroupv2', 'cgroupv2', '12-dddddd')]
  expect(() => chooseVm('cgroupv2', { running: twice, silent: [] })).toThrow(
    expect.objectContaining({
      what: "several virtual machines named 'cgroupv2' run",
      output: [
        'hostname  id         kernel',
        'cgroupv2  11-cccccc  debian:bookworm',
        'cgroupv2  12-dddddd  debian:bookworm',
      ].join('\n'),
    }),
  )
})

test('a name that none has is told with those that run, and one whose process is busy is named', () => {
  const unknown = expect.objectContaining({ code: 'VM_NOT_FOUND', output: expect.stringContaining('11-cccccc') })
  expect(() => chooseVm('nobody', { running, silent: [] })).toThrow(unknown)
  expect(() => chooseVm(undefined, { running: [], silent: ['9-eeeeee'] })).toThrow(
    'no virtual machine runs (the process that has 9-eeeeee does not answer)',
  )
})
