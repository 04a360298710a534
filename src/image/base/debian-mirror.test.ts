import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { architectures } from '../../arch/index.ts'
import { silentLogger } from '../../log/index.ts'
import { parseKernelEntry } from '../../options/index.ts'
import { planKernel } from '../plan.ts'
import type { KernelFacts } from '../preflight/kernel-facts.ts'
import type { VmImageRequest } from '../request.ts'
import { bootstrap } from './bootstrap.ts'
import { debianMirror, parseMirror } from './debian-mirror.ts'

const [arch] = architectures
const withPassword = 'http://archivist:open%3Asesame@mirror.example.org:8080/debian/'
const mirror = parseMirror(withPassword)

test.each([
  [
    'http://mirror.example.org/debian/',
    'http://mirror.example.org/debian',
    'http://mirror.example.org/debian-security',
    undefined,
  ],
  [
    withPassword,
    'http://mirror.example.org:8080/debian',
    'http://mirror.example.org:8080/debian-security',
    ['/debian', '/debian-security']
      .map((path) => `machine http://mirror.example.org:8080${path}\nlogin archivist\npassword open:sesame\n`)
      .join(''),
  ],
  [
    'https://token@mirror.example.org',
    'https://mirror.example.org',
    // No other host gets to see it.
    'https://mirror.example.org/debian-security',
    'machine https://mirror.example.org\nlogin token\nmachine https://mirror.example.org/debian-security\nlogin token\n',
  ],
])('%s is a place, with security updates beside it, and what is shown there', async (given, url, securityUrl, auth) => {
  expect(await debianMirror({ debianMirror: given })).toEqual({ url, securityUrl, auth })
})

test('the archive of security updates can be named by itself', async () => {
  const named = {
    debianMirror: 'http://me:1@mirror.example.org/debian',
    debianSecurityMirror: 'http://sec.example.org/d',
  }
  expect(await debianMirror(named)).toEqual({
    url: 'http://mirror.example.org/debian',
    securityUrl: 'http://sec.example.org/d',
    auth: 'machine http://mirror.example.org/debian\nlogin me\npassword 1\n',
  })
})

test.each([
  'http://me:two%20words@mirror.example.org',
  'http://me:%23@mirror.example.org',
  'http://:x@mirror.example.org',
])('a password that apt cannot be told is refused, and not told anybody else: %s', (given) => {
  expect(() => parseMirror(given)).toThrow(
    /^the user or the password of the Debian archive http:\/\/mirror\.example\.org is/,
  )
})

test.each(['debian:bookworm', { source: 'debian/trixie' }] as const)(
  'nothing of an image of %j names the password',
  async (kernel) => {
    const entry = parseKernelEntry('one', { kernel, cgroup: 2 })
    const request = {
      ...{
        mirror,
        kernel: entry.reference,
        rootfs: entry.rootfsReference,
        machine: entry.machine,
        init: 'testkernels',
        kernelMirror: undefined,
        log: silentLogger,
      },
      ...{
        host: { arch },
        builder: { kind: 'buildkitd' },
        cacheDirectory: '/none',
        signal: new AbortController().signal,
      },
    } as unknown as VmImageRequest
    const { kernel: planned, planImage } = await planKernel(request)
    const facts: KernelFacts = { release: '6.1.0', modules: 'present', config: undefined }
    const image = await planImage(facts)
    const all = [planned.state.definition(), image].map(everything).join()
    const named = ['mirror.example.org:8080', 'auth.conf.d', 'archivist', 'sesame', 'open%3A'].filter((text) =>
      all.includes(text),
    )
    expect(named).toEqual(['mirror.example.org:8080', 'auth.conf.d'])
    const open = await planKernel({ ...request, mirror: parseMirror('http://mirror.example.org:8080/debian') })
    expect(everything(await open.planImage(facts)).includes('auth.conf.d')).toBe(false)
  },
)

/** Also what the engine gets as bytes, and what is only shown. */
function everything(value: unknown): string {
  const readable = (_: string, part: unknown) => {
    if (part instanceof Uint8Array) return Buffer.from(part).toString('latin1')
    return typeof part === 'bigint' ? String(part) : part
  }
  return JSON.stringify(value, readable)
}

let bin: string
beforeEach(async () => {
  bin = await mkdtemp(join(tmpdir(), 'testkernels-bin-'))
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(bin, { recursive: true })
})

/** A program that writes down what everybody may read of it, does `script`, and has the words that it read on its output. */
async function program(name: string, script: string): Promise<void> {
  await writeFile(
    join(bin, name),
    `#!/bin/sh\ntr '\\0' '\\n' </proc/$$/cmdline >${bin}/seen; env >>${bin}/seen\n${script}\n`,
  )
  await chmod(join(bin, name), 0o755)
}

async function made(): Promise<string> {
  let image = ''
  const images = {
    import: async (tar: Readable) => {
      image = await text(tar)
      return 'sha256:1'
    },
  }
  const host = { arch, images } as unknown as Parameters<typeof bootstrap>[0]['host']
  await bootstrap({ host, suite: 'trixie', mirror, ref: 'base', labels: {} })
  return image
}

test('mmdebstrap is told the password where nobody else reads it, and leaves nothing of it', async () => {
  vi.stubEnv('PATH', `${bin}:${process.env['PATH']}`)
  const hooks = `root=$(mktemp -d); for word; do case $word in --*-hook=*) sh -c "\${word#*=}" hook $root;`
  await program(
    'mmdebstrap',
    `${hooks} find $root -type f -exec cat {} +; find $root -type f ;; esac; done; rm -r $root`,
  )
  // Between the hooks it is there; after them it is not.
  expect((await made()).replace(/\/.*(?=\/etc\/apt)/, '')).toBe(`${mirror.auth}/etc/apt/auth.conf.d/testkernels.conf\n`)
  const seen = await readFile(join(bin, 'seen'), 'utf8')
  expect(seen).toContain('http://mirror.example.org:8080/debian')
  expect(seen).not.toContain('sesame')
})

test('so is debootstrap, whose wget knows netrc', async () => {
  // Without mmdebstrap, which goes first.
  const tools = ['sh', 'mktemp', 'mkdir', 'sed', 'rm', 'tar', 'cat', 'tr', 'env']
  for (const tool of tools) await symlink(join('/usr/bin', tool), join(bin, tool))
  await program('debootstrap', `cat "$HOME/.netrc" >${bin}/netrc; echo "$HOME" >${bin}/home; mkdir -p "$4"`)
  vi.stubEnv('PATH', bin)
  await made().catch(() => {})
  vi.unstubAllEnvs()
  expect(await readFile(join(bin, 'netrc'), 'utf8')).toBe(
    // Of the archive and of that of security updates, on one host.
    'machine mirror.example.org\nlogin archivist\npassword open:sesame\n'.repeat(2),
  )
  expect(await readFile(join(bin, 'seen'), 'utf8')).not.toContain('sesame')
  const home = (await readFile(join(bin, 'home'), 'utf8')).trim()
  await expect(readFile(join(home, '.netrc'))).rejects.toThrow('ENOENT')
})
