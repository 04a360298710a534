import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { dockerfileSolve, exporters, SolveError, secrets } from '../../src/buildkit/index.ts'
import { platform } from '../support/platform.ts'
import { baseRef, connect, scratchDir, unique } from './support.ts'

async function writeContext(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(directory, path, '..'), { recursive: true })
    await writeFile(join(directory, path), content)
  }
}

test('a Dockerfile is built with its arguments, its secrets, and its context less what is ignored', async () => {
  await using buildkit = await connect()
  await using context = await scratchDir()
  await using out = await scratchDir()
  await writeContext(context.path, {
    'docker/Dockerfile.test': `FROM ${baseRef()} AS build
ARG GREETING
RUN --mount=type=secret,id=token echo "$GREETING $(cat /run/secrets/token)" > /greeting
FROM scratch AS wanted
COPY --from=build /greeting /
COPY . /context
FROM scratch
COPY nothing-of-the-kind /
`,
    'docker/Dockerfile.test.dockerignore': '# comment\n*.log\ndocker\n',
    '.dockerignore': 'kept.txt\n',
    'kept.txt': 'kept',
    'noise.log': 'noise',
    'ünï/cödé': 'ok',
  })
  const request = await dockerfileSolve({
    platform,
    contextDir: context.path,
    dockerfile: 'docker/Dockerfile.test',
    buildArgs: { GREETING: `hello-${unique()}` },
    target: 'wanted',
  })
  await buildkit.solve({
    ...request,
    attachables: [...request.attachables, secrets({ token: { value: 'sesame' } })],
    exporter: exporters.local({ directory: out.path }),
  })
  expect(await readFile(join(out.path, 'greeting'), 'utf8')).toMatch(/^hello-\w+ sesame\n$/)
  expect((await readdir(join(out.path, 'context'))).sort()).toEqual(['.dockerignore', 'kept.txt', 'ünï'].sort())
})

test('a Dockerfile that fails is told by step, command, exit code and output', async () => {
  await using buildkit = await connect()
  await using context = await scratchDir()
  await writeContext(context.path, {
    Dockerfile: `FROM ${baseRef()}\nRUN echo ${unique()}; echo "this went wrong" >&2; exit 17\n`,
  })
  const failure = await buildkit
    .solve(await dockerfileSolve({ contextDir: context.path, platform }))
    .catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(SolveError)
  expect(failure).toMatchObject({
    code: 'SOLVE_FAILED',
    exitCode: 17,
    vertex: { name: expect.stringMatching(/^\[2\/2\] RUN echo/) },
    command: expect.stringContaining('exit 17'),
    // The engine says nothing of the order between the two streams.
    logTail: expect.arrayContaining(['this went wrong']),
    message: expect.stringContaining('| this went wrong'),
  })
})

test('a Dockerfile with a syntax error is told by what is wrong with it', async () => {
  await using buildkit = await connect()
  await using context = await scratchDir()
  await writeContext(context.path, { Dockerfile: 'FROM scratch\nRUNN echo\n' })
  await expect(buildkit.solve(await dockerfileSolve({ contextDir: context.path, platform }))).rejects.toThrow(/RUNN/)
})

test('a Dockerfile that is not there is told by its path', async () => {
  await using context = await scratchDir()
  await expect(dockerfileSolve({ contextDir: context.path, platform })).rejects.toThrow(
    join(context.path, 'Dockerfile'),
  )
})
