// Which of Debian's kernels a version names: as the build step lists them, and as they are remembered.
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { pack } from 'tar-stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { amd64 } from '../../../arch/amd64.ts'
import { llb } from '../../../buildkit/graph.ts'
import { type Logger, silentLogger } from '../../../log/index.ts'
import { type DebianKernel, parseDebianKernel } from '../../../options/kernel-reference.ts'
import { parseMirror } from '../../base/debian-mirror.ts'
import { debianChangelog, debianKernel, listDebianKernels, parseKernelList } from './debian.ts'
import { unknownVersion } from './debian-versions.ts'

const awk = fileURLToPath(new URL('../../../../images/kernel/list-kernels.awk', import.meta.url))

/** What apt has of a pocket, less the fields that do not matter. */
const PACKAGES = [
  [
    'linux-image-6.1.0-47-cloud-amd64',
    '6.1.170-3',
    'kmod, linux-base (>= 4.3~), initramfs-tools | linux-initramfs-tool',
  ],
  ['linux-image-6.1.0-47-cloud-amd64-dbg', '6.1.170-3', ''],
  ['linux-image-6.1.0-47-cloud-amd64-unsigned', '6.1.170-3', 'kmod'],
  ['linux-image-6.1.0-47-amd64', '6.1.170-3', 'kmod'],
  ['linux-image-6.1.0-47-rt-amd64', '6.1.170-3', 'kmod'],
  ['linux-image-cloud-amd64', '6.1.170-3', 'linux-image-6.1.0-47-cloud-amd64 (= 6.1.170-3)'],
  ['linux-image-6.1-cloud-amd64', '6.1.170-3', 'linux-image-6.1.0-47-cloud-amd64 (= 6.1.170-3)'],
  ['linux-image-6.1.0-0.deb11.48-cloud-amd64', '6.1.172-1~deb11u1', 'kmod'],
  ['linux-image-6.12.43+deb12-cloud-amd64', '6.12.43-1~bpo12+1', 'kmod'],
  ['linux-image-6.11-rc4-cloud-amd64', '6.11~rc4-1~exp1', 'kmod'],
  [
    'linux-image-7.3.4+deb13-cloud-amd64',
    '7.3.4-1~bpo13+1',
    'dracut | linux-initramfs-tool, linux-base-7.3.4+deb13-cloud-amd64 (= 7.3.4-1~bpo13+1), linux-binary-7.3.4+deb13-cloud-amd64 (= 7.3.4-1~bpo13+1), linux-modules-7.3.4+deb13-cloud-amd64 (= 7.3.4-1~bpo13+1)',
  ],
  ['linux-headers-6.1.0-47-cloud-amd64', '6.1.170-3', 'linux-kbuild-6.1'],
]
  .map(
    ([name, version, depends]) =>
      `Package: ${name}\nSource: linux\nVersion: ${version}\nDepends: ${depends}\nSize: 1\n`,
  )
  .join('\n')

function listed(flavour: string): string[] {
  const settings = [
    '-v',
    `flavour=${flavour}`,
    '-v',
    'pocket=bookworm',
    '-v',
    'archive=http://mirror.example.org/debian',
  ]
  const { status, stdout, stderr } = spawnSync('awk', [...settings, '-f', awk], { input: PACKAGES, encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout.split('\n').filter((line) => line !== '')
}

test('apt lists the images of one flavour, with the packages that belong to them, and no meta package', () => {
  expect(listed('cloud-amd64').map((line) => line.split('\t').slice(2).join(' '))).toEqual([
    '6.1.170-3 linux-image-6.1.0-47-cloud-amd64',
    '6.1.172-1~deb11u1 linux-image-6.1.0-0.deb11.48-cloud-amd64',
    '6.12.43-1~bpo12+1 linux-image-6.12.43+deb12-cloud-amd64',
    '6.11~rc4-1~exp1 linux-image-6.11-rc4-cloud-amd64',
    '7.3.4-1~bpo13+1 linux-image-7.3.4+deb13-cloud-amd64 linux-base-7.3.4+deb13-cloud-amd64 linux-binary-7.3.4+deb13-cloud-amd64 linux-modules-7.3.4+deb13-cloud-amd64',
  ])
  expect(listed('amd64')).toEqual(['bookworm\thttp://mirror.example.org/debian\t6.1.170-3\tlinux-image-6.1.0-47-amd64'])
})

const line = (pocket: string, version: string) =>
  `${pocket}\thttp://${pocket}.example.org\t${version}\tlinux-image-${version}`
const LIST = [
  line('bookworm', '6.1.170-3'),
  line('bookworm', '6.1.176-1'),
  line('bookworm-security', '6.1.176-1'),
  line('bookworm-security', '6.1.187-1'),
  line('bookworm-security', '6.1.172-1'),
].join('\n')

test('each version is listed once, the newest last', () => {
  const { kernels, missing } = parseKernelList(`${LIST}\n`, 'bookworm-updates\n')
  expect(kernels.map(({ version, pocket }) => `${version} ${pocket}`)).toEqual([
    '6.1.170-3 bookworm',
    '6.1.172-1 bookworm-security',
    '6.1.176-1 bookworm',
    '6.1.187-1 bookworm-security',
  ])
  expect(missing).toEqual(['bookworm-updates'])
})

test.each([
  ['6.1.171-1', ['6.1.170-3', '6.1.172-1', '6.1.176-1']],
  ['6.1.200', ['6.1.176-1', '6.1.187-1']],
  ['5.10', ['6.1.170-3', '6.1.172-1']],
])('of %s, which is not there, it tells the nearest', (version, nearest) => {
  const kernel = parseDebianKernel(`bookworm@${version}`)
  const { message } = unknownVersion(kernel, parseKernelList(LIST, ''), { debianSnapshots: undefined })
  expect(message).toContain(`the Debian archive has no kernel debian:bookworm@${version}\n`)
  expect(message).toContain(`nearest that there are: ${nearest.map((one) => `debian:bookworm@${one}`).join(', ')};`)
  expect(message).toContain('set TESTKERNELS_DEBIAN_SNAPSHOTS')
})

test('what could not be read is told, and snapshots that were asked are not recommended', () => {
  const kernel = parseDebianKernel('bookworm/rt-amd64@6.1')
  const list = parseKernelList('', 'bookworm-security\nbookworm-proposed-updates\n')
  const { message } = unknownVersion(kernel, list, { debianSnapshots: 'http://snapshots.example.org' })
  expect(message).toContain('has no kernel debian:bookworm/rt-amd64@6.1; bookworm-security cannot be read\n')
  expect(message).toContain('name another suite or flavour')
  expect(message).not.toContain('TESTKERNELS_DEBIAN_SNAPSHOTS')
})

let cacheDirectory: string
/** What BuildKit was asked to list. */
let lists: number
let told: Readonly<Record<string, string>>

beforeEach(async () => {
  cacheDirectory = await mkdtemp(join(tmpdir(), 'testkernels-debian-'))
  lists = 0
  told = { kernels: LIST, missing: '' }
})
afterEach(() => rm(cacheDirectory, { recursive: true }))

function contextWith(said: string[] = []) {
  const log: Logger = { ...silentLogger, info: (text) => void said.push(text) }
  const base = llb.image('base', { platform: amd64.platform })
  return {
    ...{ base, tools: base, cacheDirectory, log, host: { arch: amd64 }, builder: { connect: fakeBuildkit } },
    ...{ mirror: parseMirror('http://mirror.example.org/debian'), debianSnapshots: undefined, cache: { from: [] } },
  } as unknown as Parameters<typeof debianKernel>[1]
}

/** Sends what `told` has, as the tar exporter does. */
async function fakeBuildkit() {
  const solve = async ({ exporter }: { exporter: { attachable: { register(services: unknown): void } } }) => {
    lists++
    const archive = pack()
    for (const [name, text] of Object.entries(told)) archive.entry({ name }, text)
    archive.finalize()
    const chunks = Readable.from(messagesOf(archive)) as Readable & { cancelled?: boolean }
    chunks.cancelled = false
    let served: Promise<void> | undefined
    exporter.attachable.register({
      stream: (_: unknown, __: unknown, serve: (stream: Readable) => Promise<void>) => {
        served = serve(chunks)
      },
    })
    await served
  }
  return { solve, [Symbol.asyncDispose]: async () => {} }
}

async function* messagesOf(archive: AsyncIterable<unknown>) {
  for await (const data of archive) yield { data }
}

/** What its fetch is given. */
async function fetched(kernel: DebianKernel, said?: string[]): Promise<string> {
  const state = await debianKernel(kernel, contextWith(said))
  const ops = state.definition().vertexes.map(({ bytes }) => Buffer.from(bytes).toString('latin1'))
  // After the file that it runs.
  return ops.findLast((op) => op.includes('/src/fetch-debian.sh')) ?? ''
}

test('a version is fetched from where it is, is told, and is asked for once', async () => {
  const kernel = parseDebianKernel('bookworm@6.1.187-1')
  const said: string[] = []
  const fetch = await fetched(kernel, said)
  for (const word of [
    'bookworm-security',
    'http://bookworm-security.example.org',
    '6.1.187-1',
    'linux-image-6.1.187-1',
  ])
    expect(fetch).toContain(word)
  expect(said).toEqual(['debian:bookworm@6.1.187-1 is linux-image-6.1.187-1 6.1.187-1, of bookworm-security'])
  // The archive may lose it; what was built of it is found all the same.
  told = { kernels: '', missing: '' }
  expect(await fetched(kernel)).toBe(fetch)
  expect(lists).toBe(1)
})

test('what a prefix means holds for a day', async () => {
  const kernel = parseDebianKernel('bookworm@6.1')
  expect(await fetched(kernel)).toContain('linux-image-6.1.187-1')
  told = { kernels: line('bookworm', '6.1.190-1'), missing: '' }
  expect(await fetched(kernel)).toContain('linux-image-6.1.187-1')
  const [name = ''] = await readdir(join(cacheDirectory, 'debian-kernels'))
  const file = join(cacheDirectory, 'debian-kernels', name)
  const { foundMs, ...found } = JSON.parse(await readFile(file, 'utf8'))
  await writeFile(file, JSON.stringify({ ...found, foundMs: foundMs - 25 * 3_600_000 }))
  expect(await fetched(kernel)).toContain('linux-image-6.1.190-1')
  expect(lists).toBe(2)
})

test('a version that is not there is asked for again, and a time needs an archive of snapshots', async () => {
  for (const _ of [1, 2])
    await expect(fetched(parseDebianKernel('bookworm@6.1.171'))).rejects.toMatchObject({ code: 'UNKNOWN_KERNEL' })
  expect(lists).toBe(2)
  await expect(fetched(parseDebianKernel('bookworm@20260301T000000Z'))).rejects.toThrow(
    /names a time.*none is named\n.*TESTKERNELS_DEBIAN_SNAPSHOTS/,
  )
})

test('an archive of which nothing can be read is an error of its own', async () => {
  told = { kernels: '', missing: 'sid' }
  await expect(listDebianKernels('sid', {}, contextWith())).rejects.toMatchObject({
    code: 'KERNEL_SOURCE_UNAVAILABLE',
    message: expect.stringContaining(
      'the suite sid cannot be read from the Debian archive http://mirror.example.org/debian',
    ),
  })
})

test('the changelog of a kernel is what its package says', async () => {
  told = { changelog: 'linux (6.1.187-1)' }
  const [kernel] = parseKernelList(line('bookworm-security', '6.1.187-1'), '').kernels
  if (kernel === undefined) throw new Error('the list has none')
  expect(await debianChangelog(kernel, '6.1.172-1', contextWith())).toBe('linux (6.1.187-1)')
  told = { changelog: '' }
  expect(await debianChangelog(kernel, '6.1.172-1', contextWith())).toBe('')
})
