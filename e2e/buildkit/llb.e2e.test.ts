import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { llb, type SolveStatus, secrets } from '../../src/buildkit/index.ts'
import { platform } from '../support/platform.ts'
import { baseRef, connect, scratchDir, solveInto, unique } from './support.ts'

test('a run sees its environment, directory, user, mounts and secrets, and each writable mount is a result', async () => {
  await using buildkit = await connect()
  await using out = await scratchDir()
  const input = llb.scratch(platform).file(llb.mkdir('/sub').mkfile('/sub/greeting', 'hello'))
  const seed = llb.scratch(platform).file(llb.mkfile('/seeded', 'from the seed'))
  const run = llb
    .image(baseRef(), { platform })
    .env({ INHERITED: 'yes', OVERRIDDEN: 'no' })
    .run({
      script: `
        { pwd; id -u; echo "$INHERITED $OVERRIDDEN"; cat /in/greeting; echo; cat /run/secrets/token; echo
          stat -c %a /run/secrets/token; cat /cache/seeded; echo; stat -f -c %T /scratch; hostname; getent hosts mirror
        } > /out/seen
        if touch /in/written 2> /dev/null; then echo writable; else echo read-only; fi >> /out/seen
        test ! -e /run/secrets/absent
        echo second > /second/file; echo ${unique()} > /dev/null`,
      env: { OVERRIDDEN: 'yes' },
      cwd: '/var/tmp',
      user: '0',
      hostname: 'builder',
      extraHosts: [{ host: 'mirror', ip: '192.0.2.7' }],
      mounts: [
        llb.bind('/in', input, { selector: '/sub' }),
        llb.output('/out'),
        llb.output('/second'),
        llb.secret('/run/secrets/token', { id: 'token', mode: 0o440 }),
        llb.secret('/run/secrets/absent', { id: 'absent', optional: true }),
        llb.cache('/cache', { id: `seeded-${unique()}`, source: seed }),
        llb.tmpfs('/scratch'),
      ],
    })
  const definition = llb
    .scratch(platform)
    .file(
      llb
        .copy(run.mountOutput('/out'), '/', '/out', { contents: true, createDestPath: true })
        .copy(run.mountOutput('/second'), '/file', '/'),
    )
    .definition()
  await solveInto(buildkit, out.path, { definition, attachables: [secrets({ token: { value: 'open sesame' } })] })
  expect((await readFile(join(out.path, 'out/seen'), 'utf8')).split('\n')).toEqual([
    '/var/tmp',
    '0',
    'yes yes',
    'hello',
    'open sesame',
    '440',
    'from the seed',
    'tmpfs',
    'builder',
    expect.stringMatching(/^192\.0\.2\.7\s+mirror$/),
    'read-only',
    '',
  ])
  expect(await readFile(join(out.path, 'file'), 'utf8')).toBe('second\n')
})

test('file operations make, copy and remove in order, without a shell', async () => {
  await using buildkit = await connect()
  await using out = await scratchDir()
  const source = llb.scratch(platform).file(
    llb
      .mkdir('/a/b', { makeParents: true })
      .mkfile('/a/b/one.conf', '1', { mode: 0o600 })
      .mkfile('/a/b/two.conf', '2')
      .mkfile('/a/b/three.txt', new Uint8Array([0, 255])),
  )
  const result = llb.scratch(platform).file(
    llb
      .mkdir('/etc', { mode: 0o700 })
      .copy(source, '/a/b/*.conf', '/etc/', { wildcard: true })
      .copy(source, '/a', '/whole', { contents: true, createDestPath: true, mode: 0o750 })
      .mkfile('/dated', 'x', { modifiedAt: new Date('2001-02-03T04:05:06Z') })
      .rm('/whole/b/two.conf')
      .rm('/never/there', { allowNotFound: true }),
  )
  await solveInto(buildkit, out.path, { definition: result.definition() })
  const at = (path: string) => join(out.path, path)
  expect((await readdir(at('etc'))).sort()).toEqual(['one.conf', 'two.conf'])
  expect((await readdir(at('whole/b'))).sort()).toEqual(['one.conf', 'three.txt'])
  expect(await readFile(at('whole/b/three.txt'))).toEqual(Buffer.from([0, 255]))
  expect((await stat(at('etc'))).mode & 0o777).toBe(0o700)
  expect((await stat(at('etc/one.conf'))).mode & 0o777).toBe(0o600)
  expect((await stat(at('whole/b/one.conf'))).mode & 0o777).toBe(0o750)
  expect((await stat(at('dated'))).mtime.toISOString()).toBe('2001-02-03T04:05:06.000Z')
})

test('a vertex is told by the name it was given, and by the digest it has here', async () => {
  await using buildkit = await connect()
  const name = `[e2e] ${unique()} named`
  const definition = llb.scratch(platform).file(llb.mkfile('/x', unique()), { name }).definition()
  const heard: SolveStatus['vertexes'][number][] = []
  await buildkit.solve({ definition, onStatus: ({ vertexes }) => heard.push(...vertexes) })
  expect(heard.find((vertex) => vertex.name === name)?.digest).toBe(definition.vertexes[0]?.digest)
})

test('a result is cached, unless the run says to ignore the cache', async () => {
  await using buildkit = await connect()
  const mark = unique()
  const cachedBySolve = async (ignoreCache: boolean) => {
    const name = `[e2e] ${mark}`
    const run = llb.image(baseRef(), { platform }).run({ script: `echo ${mark}`, name, ignoreCache })
    const cached: boolean[] = []
    await buildkit.solve({
      definition: run.definition(),
      onStatus: ({ vertexes }) => {
        for (const vertex of vertexes)
          if (vertex.name === name && vertex.completedAtMs !== undefined) cached.push(vertex.cached)
      },
    })
    return cached
  }
  expect(await cachedBySolve(false)).toEqual([false])
  expect(await cachedBySolve(false)).toEqual([true])
  expect(await cachedBySolve(true)).toEqual([false])
})

test('a run without network has only the loopback device, and one with the host network needs the entitlement', async () => {
  await using buildkit = await connect()
  await using out = await scratchDir()
  const devices = (network: 'none' | 'host') =>
    llb.image(baseRef(), { platform }).run({
      script: `tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' > /out/${network} # ${unique()}`,
      network,
      mounts: [llb.output('/out')],
    })
  await solveInto(buildkit, out.path, { definition: devices('none').mountOutput('/out').definition() })
  expect(await readFile(join(out.path, 'none'), 'utf8')).toBe('lo\n')

  const host = devices('host').mountOutput('/out').definition()
  await expect(solveInto(buildkit, out.path, { definition: host })).rejects.toThrow(/network\.host/)
  await solveInto(buildkit, out.path, { definition: host, entitlements: ['network.host'] })
  expect(await readFile(join(out.path, 'host'), 'utf8')).not.toBe('lo\n')
})

test('symbolic links of a result arrive as links', async () => {
  await using buildkit = await connect()
  await using out = await scratchDir()
  const run = llb.image(baseRef(), { platform }).run({
    args: ['ln', '-s', '../etc/passwd', '/out/link'],
    mounts: [llb.output('/out')],
  })
  await solveInto(buildkit, out.path, { definition: run.mountOutput('/out').definition() })
  expect(await readlink(join(out.path, 'link'))).toBe('../etc/passwd')
})
