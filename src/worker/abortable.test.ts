import { expect, test, vi } from 'vitest'
import { abortable, abortableWithCallback, neededBy } from './abortable.ts'

const never = () => new Promise<void>(() => {})
const vmOf = ({ signal }: AbortController) => ({ gone: signal })

test('a function ends with the reason when its VM is gone', async () => {
  const vm = new AbortController()
  const running = abortable(never, [vmOf(vm)])()
  vm.abort(new Error('panic'))
  await expect(running).rejects.toThrow('panic')
})

test('of several VMs the first that is gone counts', async () => {
  const vms = [new AbortController(), new AbortController()]
  const running = abortable(never, vms.map(vmOf))()
  vms[1]?.abort(new Error('second'))
  vms[0]?.abort(new Error('first'))
  await expect(running).rejects.toThrow('second')
})

test('it is not called when its VM was gone before', async () => {
  const run = vi.fn()
  const gone = AbortSignal.abort(new Error('panic'))
  await expect(abortable(run, [{ gone }])()).rejects.toThrow('panic')
  const done = vi.fn()
  abortableWithCallback(run, [{ gone }])(done)
  expect(done).toHaveBeenCalledWith(gone.reason)
  expect(run).not.toHaveBeenCalled()
})

test('what counts is the VM that is there when it is called', async () => {
  const vm = { gone: AbortSignal.abort(new Error('panic')) }
  const run = abortable(async () => 'ran', [vm])
  vm.gone = new AbortController().signal
  expect(await run()).toBe('ran')
})

test('result, error, `this`, arguments and shape stay', async () => {
  const vm = vmOf(new AbortController())
  const run = Object.assign(
    function (this: unknown, a: number, b: number) {
      return [this, a, b]
    },
    { mark: 1 },
  )
  const wrapped = abortable(run, [vm])
  expect(wrapped).toHaveLength(2)
  expect(wrapped.mark).toBe(1)
  expect(await wrapped.call('self', 1, 2)).toEqual(['self', 1, 2])
  const failing = abortable(() => {
    throw new Error('own')
  }, [vm])
  await expect(failing()).rejects.toThrow('own')
  expect(abortable(run, [])).toBe(run)
})

test('a callback is called once, by the function or by the death', () => {
  const vm = new AbortController()
  const done = vi.fn()
  let finish: (() => void) | undefined
  const wrapped = abortableWithCallback(
    (callback: () => void) => {
      finish = callback
    },
    [vmOf(vm)],
  )
  expect(wrapped).toHaveLength(1)
  wrapped(done)
  vm.abort(new Error('panic'))
  finish?.()
  expect(done.mock.calls).toEqual([[vm.signal.reason]])

  const alive = new AbortController()
  abortableWithCallback((callback: () => void) => callback(), [vmOf(alive)])(done)
  alive.abort()
  expect(done.mock.calls).toEqual([[vm.signal.reason], []])
})

const kernels = [{ name: 'v1' }, { name: 'v1-cgroupv2' }, { name: '6.12' }]
const needed = (fullName: string, scope: 'project' | 'suite' = 'suite') =>
  neededBy(fullName, { scope, kernels }).map(({ name }) => name)

test('a test of a project needs its VM, whatever it is called', () => {
  expect(needed('anything', 'project')).toHaveLength(3)
})

test('a test of a suite needs the VMs that its name has as words', () => {
  expect(needed('on v1 > starts')).toEqual(['v1'])
  expect(needed('on v1-cgroupv2 > starts')).toEqual(['v1-cgroupv2'])
  expect(needed('v1, then v1-cgroupv2.')).toEqual(['v1', 'v1-cgroupv2'])
  expect(needed('on 6.12')).toEqual(['6.12'])
  expect(needed('on 6.12.3, 6x12 and v10')).toEqual([])
})
