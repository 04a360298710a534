// Kernels from source: what is built once and no more, and what cannot be built. Each from a source that takes seconds and not
// minutes (fixtures/kernel-source); each mistake is one clear error, and leaves no image.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { appendFile, cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { stepsOf } from '../support/plain-progress.ts'
import { testkernels } from '../support/run.ts'

const run = promisify(execFile)
const docker = new Docker()
const fixture = join(import.meta.dirname, '../../fixtures/kernel-source')
let directory: string
let name: string
let tarball: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-source-'))
  // No other run has this source in the build cache.
  name = `linux-${randomBytes(4).toString('hex')}`
  await cp(fixture, join(directory, name), { recursive: true })
  await writeFile(join(directory, name, 'README'), name)
  await writeFile(join(directory, name, 'compiled.c'), `int ${name.replace('-', '_')};\n`)
  tarball = join(directory, `${name}.tar.xz`)
  await run('tar', ['-C', directory, '-cJf', tarball, name])
})

afterEach(async () => {
  for (const { Id } of await images()) await docker.getImage(Id).remove({ force: true })
  await rm(directory, { recursive: true })
})

function images() {
  return docker.listImages({ filters: { reference: [`testkernels/vm:*${name}*`] } })
}

async function build(kernel: string, config: readonly string[] = []) {
  const fragments = config.flatMap((fragment) => ['--config', fragment])
  await using built = await testkernels(['build', '--kernel', kernel, ...fragments])
  const { code } = await built.program.exit
  const { stdout, stderr } = built.program
  const at = stderr.indexOf('error [')
  return { code, stdout, stderr, error: at < 0 ? '' : stderr.slice(at) }
}

async function fragment(content: string): Promise<string> {
  await writeFile(join(directory, 'my.config'), content)
  return join(directory, 'my.config')
}

async function sha256Of(path: string): Promise<string> {
  return (await run('sha256sum', [path])).stdout.slice(0, 64)
}

test('a tarball with the right checksum becomes an image, and the second time nothing is built', async () => {
  const kernel = `source:${tarball}#sha256=${await sha256Of(tarball)}`
  const first = await build(kernel)
  expect(first).toMatchObject({ code: 0, error: '', stdout: expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/) })
  expect(first.stderr).toContain(`[kernel ${name}.tar.xz] make bzImage`)
  expect(await build(kernel)).toMatchObject({ code: 0, stdout: first.stdout, stderr: '' })

  // The image is gone, and the kernel is still not made again.
  for (const { Id } of await images()) await docker.getImage(Id).remove({ force: true })
  const second = await build(kernel)
  expect(second.code).toBe(0)
  const make = `[kernel ${name}.tar.xz] make bzImage modules`
  expect(stepsOf(second.stderr, 'CACHED')).toContain(make)
  expect(stepsOf(second.stderr, 'DONE')).not.toContain(make)
})

test('a tree is built as it is, and again when it changed', async () => {
  const kernel = `source:${join(directory, name)}`
  const first = await build(kernel)
  expect(first).toMatchObject({ code: 0, error: '' })
  expect(first.stderr).toMatch(/Misses: +1 \/ +1 /)
  await writeFile(join(directory, name, 'new.c'), 'int changed;')
  const second = await build(kernel)
  expect(stepsOf(second.stderr, 'DONE')).toContain(`[kernel ${name}] make bzImage modules`)
  // What did not change comes out of ccache.
  expect(second.stderr).toMatch(/Hits: +1 \/ +1 /)
})

test('the image of a kernel with debug information says where in the source a call trace was', async () => {
  // Two functions of one name are told apart by their sizes, the instruction that was at work from the one behind it.
  const places = {
    'vmlinux:twin:5:10:1': 'one.c:7',
    'vmlinux:twin:5:20:1': 'two.c:4',
    'vmlinux:twin:5:20:0': 'two.c:5',
    'vmlinux:second:14:15:1': 'inlined.h:4 two.c:12',
    'my_module:run:5:10:1': 'three.c:5',
    'my_module:start:6:7:1': 'three.c:10',
    'vmlinux:nobody:1:2:1': undefined,
    'other_module:run:5:10:1': undefined,
  }
  const { code, error, stdout } = await build(`source:${tarball}`, ['debug-info'])
  expect({ code, error }).toEqual({ code: 0, error: '' })
  const box = ['run', '--rm', '--network', 'none', '--read-only', '--entrypoint', '/testkernels/locate']
  const located = await run('docker', [...box, stdout.trim(), '/testkernels/debug', ...Object.keys(places)])
  const said = new Map(
    located.stdout
      .trimEnd()
      .split('\n')
      .map((line) => [Number(line.split(' ')[0]), line.replace(/^\d+ /, '')]),
  )
  const found = Object.keys(places).map((entry, at) => [entry, said.get(at + 1)])
  expect(Object.fromEntries(found)).toEqual(places)

  // Without, the image has neither that nor what reads it.
  const plain = await build(`source:${tarball}`)
  const look = await run('docker', [
    'run',
    '--rm',
    '--network',
    'none',
    '--entrypoint',
    'ls',
    plain.stdout.trim(),
    '/testkernels',
  ])
  expect(look.stdout).not.toMatch(/debug|locate/)
})

test("another suite's compiler, of a kernel that takes warnings for errors and writes into its tree", async () => {
  const tree = join(directory, name)
  await writeFile(join(tree, 'compiled.c'), `#warning "${name}"\n#if __GNUC__ != 12\n#error "not bookworm's"\n#endif\n`)
  // As those of RHEL 8.
  const makefile = [
    'override CC += $(if $(DISABLE_WERROR),,-Werror)',
    'bzImage: header',
    'header: ; >$(CURDIR)/header.h',
  ]
  await appendFile(join(tree, 'Makefile'), `${makefile.join('\n')}\n`)
  const { code, error, stderr } = await build(`source:${tree}#compiler=debian/bookworm`)
  expect({ code, error }).toEqual({ code: 0, error: '' })
  expect(stderr).toContain(`warning: #warning "${name}"`)
})

test("another suite's compiler is asked what it can do for Debian's source, too", async () => {
  // Which is told before anything is compiled.
  const mine = await fragment('CONFIG_GCC_VERSION=0\n')
  const { code, stderr, error } = await build('source:debian/bookworm#compiler=debian/bookworm', [mine])
  expect(code).toBe(125)
  expect(error).toMatch(/my\.config asks for CONFIG_GCC_VERSION=0, but it became CONFIG_GCC_VERSION=12\d{4}$/m)
  expect(stderr).not.toContain('make bzImage')
})

test('a wrong checksum', async () => {
  const { code, error } = await build(`source:${tarball}#sha256=${'0'.repeat(64)}`)
  expect(code).toBe(125)
  expect(error).toContain(`${name}.tar.xz is not what it should be: its sha256 is ${await sha256Of(tarball)}`)
  expect(await images()).toEqual([])
})

test('a file that is not there', async () => {
  const { code, stderr, error } = await build(`source:${directory}/linux-9.tar.xz`)
  expect(code).toBe(125)
  expect(error).toContain(`the kernel source ${directory}/linux-9.tar.xz is not there`)
  // Before anything was asked of the engine.
  expect(stderr).toBe(error)
})

test('a file that is no tarball, and a tarball without a kernel', async () => {
  await writeFile(tarball, 'not a tarball')
  expect((await build(`source:${tarball}`)).error).toContain(`${name}.tar.xz cannot be unpacked with tar`)
  await rm(join(directory, name, 'Kconfig'))
  await run('tar', ['-C', directory, '-cJf', tarball, name])
  expect((await build(`source:${tarball}`)).error).toContain(`${name}.tar.xz holds no kernel source`)
  expect(await images()).toEqual([])
})

test('options that the kernel drops or does not have are told by name, and cost no compilation', async () => {
  const mine = await fragment('CONFIG_NEEDS_MORE=y\nCONFIG_TYPO=y\n# CONFIG_VETH is not set\n')
  const { code, stderr, error } = await build(`source:${tarball}`, ['cgroup-v1', mine])
  expect(code).toBe(125)
  expect(error).toContain(
    'error: my.config asks for CONFIG_NEEDS_MORE=y, but it became CONFIG_NEEDS_MORE=n (it depends on WHAT_NOBODY_HAS)',
  )
  expect(error).toContain('error: my.config asks for CONFIG_TYPO=y, which this kernel does not have')
  expect(stderr).toContain('notice: my.config sets CONFIG_VETH=n, overriding base.config (CONFIG_VETH=y)')
  expect(stderr).not.toContain('make bzImage')
  expect(await images()).toEqual([])
})

test('a line in a fragment that is no option', async () => {
  const { error } = await build(`source:${tarball}`, [await fragment('KASAN=y\n')])
  expect(error).toContain('error: my.config, line 1: not an option such as CONFIG_KASAN=y: KASAN=y')
})

test('a make that fails shows what the compiler said', async () => {
  const { code, error } = await build(`source:${tarball}`, [await fragment('CONFIG_BROKEN=y\n')])
  expect(code).toBe(125)
  expect(error).toContain(`the step "[kernel ${name}.tar.xz] make bzImage modules" failed`)
  expect(error).toContain('error: make bzImage modules failed:')
  expect(error).toContain('#error "this kernel does not compile"')
  expect(await images()).toEqual([])
})

test('fragments for a kernel that is not built from source', async () => {
  await using built = await testkernels(['build', '--kernel', 'debian:trixie', '--config', 'kasan'])
  expect(await built.program.exit).toEqual({ code: 125, signal: null })
  expect(built.program.stderr).toContain("'debian:trixie' takes no config fragments")
})
