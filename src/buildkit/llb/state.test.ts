import { fromBinary } from '@bufbuild/protobuf'
import { expect, test } from 'vitest'
import { OpSchema, type SourceOp } from '../gen/ops_pb.ts'
import { http, image, local, normalizeRef, type State } from './state.ts'

const platform = { os: 'linux', architecture: 'amd64' }

test.each([
  ['debian', 'docker.io/library/debian:latest'],
  ['debian:trixie-slim', 'docker.io/library/debian:trixie-slim'],
  ['moby/buildkit', 'docker.io/moby/buildkit:latest'],
  ['localhost/x', 'localhost/x:latest'],
  ['localhost:5000/x:1', 'localhost:5000/x:1'],
  ['registry.example/a/b', 'registry.example/a/b:latest'],
  [`debian@sha256:${'0'.repeat(64)}`, `docker.io/library/debian@sha256:${'0'.repeat(64)}`],
])('the reference %s means %s', (ref, full) => {
  expect(normalizeRef(ref)).toBe(full)
})

function sourceOf(state: State): SourceOp {
  const { op } = fromBinary(OpSchema, state.definition().vertexes[0]?.bytes ?? new Uint8Array())
  if (op.case !== 'source') throw new Error(`not a source but ${op.case}`)
  return op.value
}

test('sources carry what BuildKit needs to fetch them', () => {
  expect(sourceOf(image('debian', { platform, resolveMode: 'local' }))).toMatchObject({
    identifier: 'docker-image://docker.io/library/debian:latest',
    attrs: { 'image.resolvemode': 'local' },
  })
  expect(sourceOf(local('context', { platform }))).toMatchObject({
    identifier: 'local://context',
    attrs: { 'local.sharedkeyhint': 'context' },
  })
  expect(
    sourceOf(
      http('https://kernel.example/linux.tar.xz', { platform, checksum: 'sha256:1', filename: 'linux', mode: 0o644 }),
    ),
  ).toMatchObject({
    identifier: 'https://kernel.example/linux.tar.xz',
    attrs: { 'http.checksum': 'sha256:1', 'http.filename': 'linux', 'http.perm': '0644' },
  })
})
