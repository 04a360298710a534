import { beforeAll, describe, expect, test } from 'vitest'
import { type ContainerOptions, type Engine, runAttached } from '../../src/engine/index.ts'
import { baseImage } from '../support/env.ts'
import { containersOf, engineUnderTest, ownRun } from './support.ts'

let engine: Engine
beforeAll(async () => {
  engine = await engineUnderTest()
})

/** Runs a shell script in an attached container. */
function start(script: string, more: Partial<ContainerOptions> = {}, signal?: AbortSignal) {
  const options = { image: baseImage, labels: {}, command: ['sh', '-c', script], ...more }
  return runAttached(engine, options, signal && { signal })
}

const UNTIL_STDIN_ENDS = 'cat >/dev/null'

describe('stopping', () => {
  test('lets the program end by itself, and gives its exit code and its last words', async () => {
    const run = ownRun()
    const container = await start(`echo started; ${UNTIL_STDIN_ENDS}; echo "good bye" >&2; exit 7`, run)
    expect(await containersOf(engine, run)).toEqual([container.id])
    expect(await container.stop()).toEqual({ exitCode: 7, oomKilled: false })
    expect([container.stdout.kept, container.stderr.kept]).toEqual([['started'], ['good bye']])
    expect(await containersOf(engine, run)).toEqual([])
  })

  test('kills a program that does not heed the end of its stdin', async () => {
    const run = ownRun()
    const container = await start('trap "" TERM; while :; do sleep 1; done', { ...run, stopGraceMs: 100 })
    expect(await container.stop()).toMatchObject({ exitCode: 137 })
    expect(await containersOf(engine, run)).toEqual([])
  })

  test('twice is once, and after the end nothing', async () => {
    const container = await start('exit 3')
    expect(await container.exited).toEqual({ exitCode: 3, oomKilled: false })
    const stopping = container.stop()
    expect(container.stop()).toBe(stopping)
    expect(await stopping).toEqual({ exitCode: 3, oomKilled: false })
  })

  test('happens at the end of a scope', async () => {
    const run = ownRun()
    {
      await using container = await start(UNTIL_STDIN_ENDS, run)
      expect(await containersOf(engine, run)).toEqual([container.id])
    }
    expect(await containersOf(engine, run)).toEqual([])
  })
})

test('a program that ends at once is told with its whole output', async () => {
  const container = await start('seq 900; echo last')
  expect(await container.exited).toEqual({ exitCode: 0, oomKilled: false })
  expect(container.stdout.kept.length).toBe(901)
  expect(container.stdout.tail(1)).toBe('last')
  await container.stop()
})

test('lines can be followed while the program runs', async () => {
  await using container = await start(`echo ready; ${UNTIL_STDIN_ENDS}; echo over`)
  const lines: string[] = []
  for await (const line of container.stdout) {
    lines.push(line)
    if (line === 'ready') void container.stop()
  }
  expect(lines).toEqual(['ready', 'over'])
})

test('says when the kernel killed for want of memory', async () => {
  await using container = await start('head -c 200000000 /dev/zero | tail', { memoryMib: 32 })
  expect(await container.exited).toEqual({ exitCode: 137, oomKilled: true })
})

test('the program has the listed capabilities and no other, a read-only root, and no way to gain more', async () => {
  const container = await start('grep -E "CapEff|CapBnd|NoNewPrivs" /proc/self/status; touch /file || echo read-only', {
    capabilities: ['NET_ADMIN'],
  })
  await container.exited
  expect(container.stdout.kept).toEqual([
    'CapEff:\t0000000000001000',
    'CapBnd:\t0000000000001000',
    'NoNewPrivs:\t1',
    'read-only',
  ])
  await container.stop()
})

describe('a start that fails leaves nothing', () => {
  test('when a device is missing, which it names', async () => {
    const run = ownRun()
    await expect(start(':', { ...run, devices: ['/dev/testkernels-none'], entry: 'cgroupv1' })).rejects.toMatchObject({
      code: 'DEVICE_MISSING',
      message: expect.stringContaining("cgroupv1: the engine's machine has no /dev/testkernels-none"),
    })
    expect(await containersOf(engine, run)).toEqual([])
  })

  test('when the image is missing', async () => {
    await expect(start(':', { image: 'testkernels/none:none' })).rejects.toMatchObject({ code: 'IMAGE_MISSING' })
  })

  test('when the program is missing', async () => {
    const run = ownRun()
    await expect(start(':', { ...run, command: ['/no/such/program'] })).rejects.toMatchObject({
      code: 'CONTAINER_NOT_STARTED',
      message: expect.stringContaining('/no/such/program'),
    })
    expect(await containersOf(engine, run)).toEqual([])
  })

  test.each(['create', 'attach', 'start'])('when it is aborted at the moment of %s', async (moment) => {
    const run = ownRun()
    const controller = new AbortController()
    const events = await engine.docker.getEvents({ filters: { label: [run.filter], event: [moment] } })
    events.once('data', () => controller.abort(new Error('stopped by the user')))
    try {
      const starting = start(UNTIL_STDIN_ENDS, run, controller.signal)
      // The engine's answer to the last request may overtake the event: then there is a container, for who asked for it to stop.
      if (moment === 'start') await starting.then((container) => container.stop(), wasStopped)
      else await expect(starting).rejects.toThrow('stopped by the user')
      expect(await containersOf(engine, run)).toEqual([])
    } finally {
      ;(events as NodeJS.ReadableStream & { destroy(): void }).destroy()
    }
  })

  function wasStopped(thrown: unknown): void {
    expect(thrown).toMatchObject({ message: 'stopped by the user' })
  }
})
