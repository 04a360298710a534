import { EventEmitter, once } from 'node:events'
import { expect, test } from 'vitest'
import { EngineUnreachableError } from '../host/index.ts'
import { silentLogger } from '../log/index.ts'
import { parseKernelEntry, readSettings } from '../options/index.ts'
import { type Check, type CheckResult, type DoctorContext, type Finding, runChecks } from './check.ts'

const well: Finding = { status: 'ok', message: 'well' }

/** All that a check of these tests could ask for answers nothing. */
function fakeContext(different: Partial<DoctorContext> = {}): DoctorContext {
  const nothing = async () => undefined as never
  return {
    settings: readSettings({ TESTKERNELS_CACHE_DIR: '/dev/null/nowhere' }),
    entry: parseKernelEntry('doctor', { kernel: 'debian:trixie' }),
    log: silentLogger,
    engine: nothing,
    session: nothing,
    image: nothing,
    start: () => undefined as never,
    ...different,
  }
}

function check(id: string, examine: Check['examine'], more: Partial<Check> = {}): Check {
  return { id, title: id, group: 'Group', deadlineMs: 60_000, needs: 'nothing', examine, ...more }
}

async function all(results: AsyncIterable<CheckResult>): Promise<CheckResult[]> {
  const collected: CheckResult[] = []
  for await (const result of results) collected.push(result)
  return collected
}

test('checks run side by side, and are told in their order as soon as those before are done', async () => {
  const steps = new EventEmitter()
  const secondRan = once(steps, 'second ran')
  const thirdMay = once(steps, 'third may')
  const results = runChecks(
    [
      check('first', async () => {
        await secondRan
        return well
      }),
      check('second', async () => {
        steps.emit('second ran')
        return well
      }),
      check('third', async () => {
        await thirdMay
        return well
      }),
    ],
    fakeContext(),
  )
  expect((await results.next()).value).toMatchObject({ id: 'first', status: 'ok' })
  expect((await results.next()).value).toMatchObject({ id: 'second' })
  steps.emit('third may')
  expect((await results.next()).value).toMatchObject({ id: 'third' })
  expect(await results.next()).toMatchObject({ done: true })
})

test('an error of ours is a failure with its remedy and cause', async () => {
  const failing = check('engine', async () => {
    throw new EngineUnreachableError({ what: 'it is silent', cause: new Error('ENOENT'), remedy: 'start it' })
  })
  expect(await all(runChecks([failing], fakeContext()))).toMatchObject([
    { status: 'failure', message: 'it is silent: ENOENT', remedy: 'start it' },
  ])
})

test('any other error is a failure as well, and keeps no other check from its end', async () => {
  const broken = check('broken', async () => {
    throw new TypeError('x is not a function')
  })
  expect(await all(runChecks([broken, check('next', async () => well)], fakeContext()))).toMatchObject([
    { status: 'failure', message: 'x is not a function' },
    { id: 'next', status: 'ok' },
  ])
})

test('what others say cannot move the cursor', async () => {
  const hostile = check('hostile', async () => ({ status: 'warning', message: 'it said \u001b[2J' }))
  const [result] = await all(runChecks([hostile], fakeContext()))
  expect(result?.message).not.toContain('\u001b')
})

test('a check that never answers is a failure at its deadline, and is called off', async () => {
  let calledOff: AbortSignal | undefined
  const silent = check(
    'silent',
    (_, signal) => {
      calledOff = signal
      return new Promise(() => {})
    },
    { deadlineMs: 20 },
  )
  const [result] = await all(runChecks([silent], fakeContext()))
  expect(result).toMatchObject({ status: 'failure', message: 'no answer within 0.02 s' })
  expect(result?.remedy).toContain('silent')
  expect(calledOff?.aborted).toBe(true)
})

test('Ctrl-C ends all of them with its reason', async () => {
  const controller = new AbortController()
  const signals: AbortSignal[] = []
  const silent = (id: string) =>
    check(id, (_, signal) => {
      signals.push(signal)
      return new Promise(() => {})
    })
  const results = all(runChecks([silent('one'), silent('other')], { ...fakeContext(), signal: controller.signal }))
  controller.abort(new Error('ended by SIGINT'))
  await expect(results).rejects.toThrow('ended by SIGINT')
  expect(signals.every((signal) => signal.aborted)).toBe(true)
})

test('what needs the engine is not looked at without one, and says so', async () => {
  const down = fakeContext({
    engine: async () => {
      throw new Error('down')
    },
  })
  const needing = check('needing', async () => well, { needs: 'engine' })
  expect(await all(runChecks([needing], down))).toMatchObject([
    { looked: 'not looked at', status: 'warning', message: 'not looked at: the engine does not answer' },
  ])
  expect(await all(runChecks([needing], fakeContext()))).toMatchObject([{ looked: 'looked at', status: 'ok' }])
})
