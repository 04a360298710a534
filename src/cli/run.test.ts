import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { createLogger, silentLogger } from '../log/index.ts'
import { parseKernelEntry } from '../options/index.ts'
import { attachWords, drawTimings, moduleCommands, readImageArgument, shellExports } from './run.ts'
import { checkVmcorePath, tellQuarters } from './run-in-vm.ts'

const never = { signal: new AbortController().signal, log: silentLogger }

test('takes what build printed', async () => {
  expect(await readImageArgument(Readable.from(['sha256:', '1234\n']), never)).toBe('sha256:1234')
})

test.each([
  ['', 'names no image'],
  ['\n', 'names no image'],
  ['one\ntwo\n', 'names more than one image'],
])('refuses %j', async (input, message) => {
  await expect(readImageArgument(Readable.from([input]), never)).rejects.toThrow(message)
})

test('an abort ends the wait', async () => {
  const abort = new AbortController()
  const input = new PassThrough()
  const reading = readImageArgument(input, { ...never, signal: abort.signal })
  abort.abort()
  await expect(reading).rejects.toThrow()
  expect(input.destroyed).toBe(true)
})

test('says what it waits for when nothing comes', async () => {
  const input = new PassThrough()
  let reading: Promise<string> | undefined
  const said = new Promise<string>((resolve) => {
    reading = readImageArgument(input, { ...never, log: createLogger({ write: resolve }), saidAfterMs: 1 })
  })
  expect(await said).toContain('waiting for the name of an image on standard input')
  input.end('sha256:1234')
  expect(await reading).toBe('sha256:1234')
})

test('a shell that evaluates it has just these values', () => {
  const code = shellExports({ A: "it's $HOME", B: undefined })
  const output = execFileSync('sh', ['-c', `${code} printf '%s|%s' "$A" "\${B-unset}"`], {
    env: { ...process.env, B: 'x' },
  })
  expect(String(output)).toBe("it's $HOME|unset")
})

test('draws the steps in the order in which they began, on one scale', () => {
  const drawn = drawTimings([
    { name: 'ssh', fromMs: 500, toMs: 1000 },
    { name: 'image', fromMs: 0, toMs: 10 },
    { name: 'container', fromMs: 0, toMs: 500 },
  ])
  expect(drawn).toBe(
    [
      `container   0.50 s  ${'█'.repeat(24)}`,
      'image       0.01 s  █',
      `ssh         0.50 s  ${' '.repeat(24)}${'█'.repeat(24)}`,
      '',
    ].join('\n'),
  )
})

test('a step at the very end is seen', () => {
  const [, last] = drawTimings([
    { name: 'a', fromMs: 0, toMs: 100 },
    { name: 'b', fromMs: 100, toMs: 100 },
  ]).split('\n')
  expect(last).toMatch(/^b {3}0\.00 s {2} {47}█$/)
})

test('a file for the memory is refused where none can be made, and taken where one can', async () => {
  await expect(checkVmcorePath(join(tmpdir(), 'tk-nowhere', 'vmcore'))).rejects.toMatchObject({
    code: 'INVALID_OPTION',
  })
  await expect(checkVmcorePath(join(tmpdir(), 'vmcore'))).resolves.toBeUndefined()
})

test('tells each quarter of the memory once, and of the last that it is whole is told elsewhere', () => {
  const lines: string[] = []
  const tell = tellQuarters(createLogger({ write: (line) => lines.push(line) }))
  for (let writtenBytes = 0; writtenBytes <= 1024; writtenBytes += 100) tell({ writtenBytes, totalBytes: 1024 })
  tell({ writtenBytes: 1024, totalBytes: 1024 })
  expect(lines.map((line) => /\d+ %/.exec(line)?.[0])).toEqual(['25 %', '50 %', '75 %'])
})

const overlay = {
  name: 'overlay',
  file: 'kernel/fs/overlayfs/overlay.ko',
  sections: { '.text': 0xc0203000n, '.bss': 0xc0210080n },
}
const strange = { name: 'strange', file: undefined, sections: { '.text': 0xc0300000n } }
const gdb = { socket: '/run/gdb.sock', kernelOffset: 0x1a00000n, modules: [overlay, strange] }

test.each([
  [
    'debian:bookworm',
    "-ex 'symbol-file -o 0x1a00000 /usr/lib/debug/boot/vmlinux-6.1.0-50'",
    "in Debian's package linux-image-6.1.0-50-dbg",
  ],
  ['docker-image://kernels', "-ex 'symbol-file -o 0x1a00000 vmlinux'", 'CONFIG_DEBUG_INFO'],
])('gdb gets its symbols of %s where they are', (kernel, command, from) => {
  const words = attachWords({ kernelRelease: '6.1.0-50', entry: parseKernelEntry('v2', { kernel }) }, gdb)
  expect(words).toContain(`gdb -ex 'target remote /run/gdb.sock' ${command} -x /run/modules.gdb`)
  expect(words).toContain(from)
  expect(words).toContain('those of the modules that are loaded: 1')
  expect(words).toContain('nobody knows their files: strange')
})

test.each([
  ['debian:bookworm', '/usr/lib/debug/lib/modules/6.1.0-50/kernel/fs/overlayfs/overlay.ko'],
  ['docker-image://kernels', 'fs/overlayfs/overlay.ko'],
])('and those of the modules of %s, as far as their files are known', (kernel, path) => {
  expect(moduleCommands({ kernelRelease: '6.1.0-50', entry: parseKernelEntry('v2', { kernel }) }, gdb)).toBe(
    `add-symbol-file ${path} 0xc0203000 -s .bss 0xc0210080\n# add-symbol-file strange.ko 0xc0300000\n`,
  )
})

test('of a kernel whose image has them they are copied out of it', () => {
  const debugInfo = { image: 'testkernels/vm:debian-bookworm-0123', path: '/testkernels/debug' }
  const entry = parseKernelEntry('v2', { kernel: { source: 'debian/bookworm', config: ['debug-info'] } })
  const words = attachWords({ kernelRelease: '6.1.0', entry }, { ...gdb, debugInfo })
  expect(words).toContain("-ex 'symbol-file -o 0x1a00000 debug/vmlinux'")
  expect(words).toContain('tar testkernels/vm:debian-bookworm-0123 -C /testkernels -c debug | tar -x')
  const commands = moduleCommands({ kernelRelease: '6.1.0', entry }, { ...gdb, debugInfo })
  expect(commands).toContain('add-symbol-file debug/modules/overlay.ko 0xc0203000')
})

test('a vmlinux that is run has them itself; where nobody knows how far the kernel was moved, gdb is told how it is not', () => {
  const reference = { kind: 'local', release: '6.1.0', vmlinuz: '/build/vmlinux' } as const
  const vm = { kernelRelease: '6.1.0', entry: { reference } }
  const words = attachWords(vm, { ...gdb, kernelOffset: undefined })
  expect(words.split('\n').at(1)).toBe(
    "  gdb -ex 'target remote /run/gdb.sock' -ex 'symbol-file /build/vmlinux' -x /run/modules.gdb",
  )
  expect(moduleCommands(vm, gdb)).toContain('add-symbol-file /build/fs/overlayfs/overlay.ko 0xc0203000')
  expect(words).toContain('--kernel-argument nokaslr')
})
