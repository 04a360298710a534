import { expect, test } from 'vitest'
import * as llb from '../llb/index.ts'
import { logOf, vertexOf } from '../testing/progress.ts'
import { explainFailure, SolveTrace } from './failure.ts'

const platform = { os: 'linux', architecture: 'amd64' }

test('the step whose error the solve quotes is blamed, with its command and its last lines', () => {
  const definition = llb.image('x', { platform }).run({ script: 'make' }).definition()
  const digest = definition.vertexes[1]?.digest ?? ''
  const trace = new SolveTrace()
  trace.observe(logOf('other', 'noise\n', 1))
  trace.observe(vertexOf('other', { started: 1, completed: 2, error: 'context canceled' }))
  trace.observe(logOf(digest, 'cc1: error\n', 1))
  trace.observe(vertexOf(digest, { started: 1, completed: 2, error: 'exit code: 2' }))
  const failure = explainFailure({
    message: 'executor failed running [/bin/sh -ec make]: exit code: 2',
    trace,
    definition,
  })
  expect(failure).toMatchObject({
    vertex: { digest },
    exitCode: 2,
    command: '/bin/sh -ec make',
    logTail: ['cc1: error'],
  })
  expect(failure.message).toContain('cause: the command failed: exit code: 2\n')
})

test.each([
  ['executor failed running [/bin/sh -c a; b]: exit code: 3', '/bin/sh -c a; b'],
  ['failed to solve: process "/bin/sh -c a; b" did not complete successfully: exit code: 3', '/bin/sh -c a; b'],
  ['process "/bin/sh -c echo \\"a\\"\\n\\tb" did not complete successfully: exit code: 3', '/bin/sh -c echo "a"\n\tb'],
  ['process "a \\x07" did not complete successfully: exit code: 3', 'a \\x07'],
])('the command is read out of %s', (message, command) => {
  const trace = new SolveTrace()
  trace.observe(vertexOf('RUN a; b', { started: 1, completed: 2, error: message }))
  expect(explainFailure({ message, trace })).toMatchObject({ command, exitCode: 3 })
})

test('what failed on our side is the cause', () => {
  const sessionFailure = new Error('docker-credential-x is not there')
  const failure = explainFailure({ message: 'rpc error', trace: new SolveTrace(), sessionFailure })
  expect(failure.cause).toBe(sessionFailure)
})

test('the output of steps that ended well is forgotten', () => {
  const trace = new SolveTrace()
  trace.observe(logOf('good', 'fine\n', 1))
  trace.observe(vertexOf('good', { started: 1, completed: 2 }))
  expect(trace.tailOf('good')).toEqual([])
})
