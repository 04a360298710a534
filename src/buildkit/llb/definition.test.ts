import { fromBinary } from '@bufbuild/protobuf'
import { expect, test } from 'vitest'
import { type Op, OpSchema } from '../gen/ops_pb.ts'
import { commandOf, definitionMessage } from './definition.ts'
import * as llb from './index.ts'

const platform = { os: 'linux', architecture: 'amd64' }

function example(): llb.State {
  const source = llb.scratch(platform).file(llb.mkdir('/src').mkfile('/src/main.c', 'int main() {}'))
  const tools = llb
    .image('debian:trixie-slim', { platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } })
    .env({ ZED: '1', ALPHA: '2' })
    .run({ script: 'apt-get install -y gcc', name: 'install' })
  const built = tools.run({
    args: ['gcc', '-o', '/out/main', '/src/main.c'],
    mounts: [
      llb.bind('/src', source, { selector: '/src' }),
      llb.bind('/out', llb.scratch(platform), { access: 'read-write' }),
    ],
  })
  return llb.scratch(platform).file(llb.copy(built.mountOutput('/out'), '/main', '/bin/main', { createDestPath: true }))
}

const opsOf = (state: llb.State): Op[] =>
  definitionMessage(state.definition()).def.map((bytes) => fromBinary(OpSchema, bytes))

test('the same graph has the same digest, in this process and in any other', () => {
  expect(example().definition().digest).toBe(example().definition().digest)
  expect(example().definition().digest).toBe('sha256:d23a075b950ccf9531c1a5f3e4274d58d860d9ebea78a8c18bd8fe4ab73d73ab')
})

test('names and the wish to run again are no part of the digest, all else is', () => {
  const base = llb.image('debian', { platform })
  const digest = (options: llb.RunOptions) => base.run(options).definition().digest
  const plain = digest({ script: 'true' })
  expect(digest({ script: 'true', name: 'named', ignoreCache: true })).toBe(plain)
  const others: llb.RunOptions[] = [
    { script: 'false' },
    { script: 'true', env: { A: '1' } },
    { script: 'true', cwd: '/x' },
    { script: 'true', user: 'nobody' },
    { script: 'true', network: 'none' },
    { script: 'true', mounts: [llb.tmpfs('/tmp')] },
    { script: 'true', mounts: [llb.cache('/tmp')] },
    { script: 'true', mounts: [llb.bind('/tmp', llb.scratch(platform))] },
    { script: 'true', mounts: [llb.bind('/tmp', llb.scratch(platform), { access: 'read-write' })] },
  ]
  expect(new Set([plain, ...others.map(digest)]).size).toBe(others.length + 1)
})

test('every op has the platform of what it works on, so that no engine chooses one', () => {
  const platforms = opsOf(example()).map((op) => op.platform)
  // The last op is no work: it marks the result.
  expect(platforms.pop()).toBeUndefined()
  expect(platforms.map((of) => of?.architecture)).not.toContain(undefined)
  expect(platforms).toContainEqual(expect.objectContaining({ os: 'linux', architecture: 'arm64', variant: 'v8' }))
})

test('the order in which variables are set does not change the digest', () => {
  const run = (env: Record<string, string>) =>
    llb.image('x', { platform }).run({ script: 'true', env }).definition().digest
  expect(run({ A: '1', B: '2' })).toBe(run({ B: '2', A: '1' }))
})

test('ops come before what reads them, each once, and the last one marks the result', () => {
  const { def, metadata } = definitionMessage(example().definition())
  const { vertexes } = example().definition()
  const position = new Map(vertexes.map(({ digest }, index) => [digest, index]))
  expect(position.size).toBe(vertexes.length)
  for (const [index, bytes] of def.entries())
    for (const { digest } of fromBinary(OpSchema, bytes).inputs) expect(position.get(digest)).toBeLessThan(index)
  const last = fromBinary(OpSchema, def.at(-1) ?? new Uint8Array())
  expect(last.op.case).toBeUndefined()
  expect(last.inputs).toMatchObject([{ digest: vertexes.at(-1)?.digest, index: 0n }])
  expect(Object.values(metadata).map(({ description }) => description['llb.customname'])).toContain('install')
})

test('a graph that shares a part at every level is walked once, and may be deep', () => {
  let state: llb.State = llb.scratch(platform).file(llb.mkfile('/0', ''))
  for (let level = 1; level <= 5_000; level += 1) state = state.file(llb.copy(state, '/', `/${level}`))
  expect(state.definition().vertexes).toHaveLength(5_001)
})

test('a state that is used twice by one op is one input of it', () => {
  const input = llb.scratch(platform).file(llb.mkfile('/x', ''))
  const [, exec] = opsOf(input.run({ args: ['true'], mounts: [llb.bind('/a', input), llb.bind('/b', input)] }))
  expect(exec?.inputs).toHaveLength(1)
  expect(
    exec?.op.case === 'exec' && exec.op.value.mounts.map(({ input, output, readonly }) => [input, output, readonly]),
  ).toEqual([
    [0n, 0n, false],
    [0n, -1n, true],
    [0n, -1n, true],
  ])
})

test('each writable mount of a run is a result of its own', () => {
  const run = llb.image('x', { platform }).run({
    args: ['true'],
    mounts: [
      llb.bind('/read', llb.image('y', { platform })),
      llb.bind('/one', llb.scratch(platform), { access: 'read-write' }),
      llb.bind('/two', llb.scratch(platform), { access: 'read-write' }),
    ],
  })
  expect([run, run.mountOutput('/one'), run.mountOutput('/two')].map(({ output }) => output?.index)).toEqual([0, 1, 2])
  expect(() => run.mountOutput('/read')).toThrow('/read')
})

test('a chain of file operations works on the result of the one before', () => {
  const source = llb.image('x', { platform })
  const [, op] = opsOf(llb.scratch(platform).file(llb.mkdir('/a').copy(source, '/b', '/a/').rm('/c')))
  expect(
    op?.op.case === 'file' && op.op.value.actions.map((action) => [action.input, action.secondaryInput, action.output]),
  ).toEqual([
    [-1n, -1n, -1n],
    [1n, 0n, -1n],
    [2n, -1n, 0n],
  ])
})

test('the empty file system is the empty definition', () => {
  expect(definitionMessage(llb.scratch(platform).definition())).toEqual({ def: [], metadata: {} })
})

test('a state is not changed by what is made of it', () => {
  const base = llb.image('debian', { platform })
  const before = base.definition().digest
  base.env({ A: '1' }).dir('/x').user('me').network('none').run({ script: 'true' })
  expect(base.definition().digest).toBe(before)
  expect(base.run({ script: 'true' }).definition().digest).toBe(
    llb.image('debian', { platform }).run({ script: 'true' }).definition().digest,
  )
})

test('the command of a run is found by the digest of its vertex', () => {
  const definition = llb.image('x', { platform }).run({ script: 'exit 3' }).definition()
  const [image, run] = definition.vertexes.map(({ digest }) => commandOf(definition, digest))
  expect(image).toBeUndefined()
  expect(run).toEqual(['/bin/sh', '-ec', 'exit 3'])
  expect(commandOf(definition, 'sha256:unknown')).toBeUndefined()
})

test('a run needs either arguments or a script', () => {
  expect(() => llb.image('x', { platform }).run({})).toThrow(TypeError)
  expect(() => llb.image('x', { platform }).run({ args: ['a'], script: 'b' })).toThrow(TypeError)
})
