// A VM in the manner of a Testcontainers module.
import { once } from 'node:events'
import { KernelVm, Wait, WaitStrategy } from 'testkernels'
import { expect, test } from 'vitest'

const kernel = new KernelVm({ kernel: 'debian:bookworm' }).withName('by-hand')

test('a log consumer hears a cold boot from its first line on; logs() tells all of it later', async () => {
  const heard: string[] = []
  await using vm = await kernel
    .withTemplate('none')
    .withLogConsumer((lines) => lines.on('data', (line) => heard.push(line)))
    .withWaitStrategy(Wait.forLogMessage(/^testkernels: dockerd answers/))
    .start()
  // The kernel's decompressor may have a word first.
  expect(heard.slice(0, 2).join('\n')).toMatch(/^\[ +0\.000000\] Linux version 6\.1\./m)
  expect(vm.steps.map(({ name }) => name)).toContain('wait')

  const late = vm.logs()
  const [first] = await once(late, 'data')
  expect(first).toBe(heard[0])
  late.destroy()
})

test('each VM hears of its own console, and waits for what it was told to', async () => {
  const consoles: string[][] = []
  const marked = kernel
    .withLogConsumer((lines) => {
      const heard: string[] = []
      consoles.push(heard)
      lines.on('data', (line) => heard.push(line))
    })
    .withWaitStrategy(
      Wait.forAll([
        new WaitStrategy('a mark to be set', async (vm) =>
          vm.exec(['sh', '-c', 'echo marked >/dev/kmsg; touch /run/marked']),
        ),
        Wait.forSuccessfulCommand('test -e /run/marked'),
        Wait.forLogMessage('marked'),
      ]),
    )
  await using first = await marked.start()
  await using second = await first.fork()
  expect(consoles).toHaveLength(2)
  for (const heard of consoles) expect(heard.filter((line) => line.includes('marked'))).toHaveLength(1)
  expect((await second.exec(['test', '-e', '/run/marked'])).exitCode).toBe(0)
})

test('what does not come in time is told, and nothing is left', async () => {
  const waiting = kernel.withWaitStrategy(Wait.forSuccessfulCommand('test -e /nowhere').withStartupTimeout(2_000))
  const failure = await waiting.start().catch((thrown: Error) => thrown)
  expect(failure).toMatchObject({
    code: 'VM_NOT_READY',
    message: expect.stringContaining('within 2 s: waited for `test -e /nowhere` to succeed'),
  })
})

test('of several, one that fails ends the others', async () => {
  const ended = new AbortController()
  const failing = new WaitStrategy('nothing', async () => {
    throw new Error('it cannot be')
  })
  const endless = new WaitStrategy('ever', (_, signal) => {
    signal.addEventListener('abort', () => ended.abort(signal.reason), { once: true })
    return new Promise(() => {})
  })
  await expect(kernel.withWaitStrategy(Wait.forAll([failing, endless])).start()).rejects.toMatchObject({
    code: 'VM_NOT_READY',
    message: expect.stringContaining('it cannot be'),
  })
  expect(ended.signal.reason).toMatchObject({ message: 'this is waited for no more' })
})

test('a VM that dies is not waited for', async () => {
  const dying = new WaitStrategy('the end', async (vm) => {
    await vm.exec(['sh', '-c', 'echo c >/proc/sysrq-trigger'])
    await new Promise(() => {})
  })
  await expect(kernel.withWaitStrategy(dying).start()).rejects.toMatchObject({ code: 'VM_DIED' })
})
