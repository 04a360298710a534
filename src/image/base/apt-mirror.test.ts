import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { aptMirror } from './apt-mirror.ts'

let machine: string
beforeEach(async () => {
  machine = await mkdtemp(join(tmpdir(), 'testkernels-apt-'))
})
afterEach(() => rm(machine, { recursive: true }))

async function mirrorWith(files: Record<string, string>, osRelease = 'NAME="Debian GNU/Linux"\nID=debian\n') {
  for (const [name, text] of Object.entries({ 'os-release': osRelease, ...files })) {
    const file = join(machine, name)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  }
  return await aptMirror({ aptDirectory: machine, osReleaseFile: join(machine, 'os-release') })
}

const deb822 = (uri: string, more = '') =>
  `Types: deb\nURIs: ${uri}\nSuites: trixie trixie-updates\nComponents: main\n${more}`

test('sources.list', async () => {
  expect(await mirrorWith({ 'sources.list': 'deb http://mirror.example.org/debian/ bookworm main\n' })).toBe(
    'http://mirror.example.org/debian',
  )
})

test('sources.list.d, where only names that apt reads count', async () => {
  const files = {
    'sources.list.d/debian.sources': deb822('https://mirror.example.org/debian'),
    'sources.list.d/aaa.sources.disabled': deb822('https://disabled.example.org/debian'),
  }
  expect(await mirrorWith(files)).toBe('https://mirror.example.org/debian')
})

test('the archive of security updates is not the archive', async () => {
  const files = {
    'sources.list':
      'deb http://security.example.org/debian-security bookworm-security main\ndeb http://mirror.example.org/debian bookworm main\n',
  }
  expect(await mirrorWith(files)).toBe('http://mirror.example.org/debian')
})

test('repositories of others are ignored, however much they look like Debian', async () => {
  const files = {
    'sources.list.d/1-vendor.list':
      'deb [signed-by=/etc/apt/keyrings/vendor.gpg] https://vendor.example.org/debian bookworm main\n',
    'sources.list.d/2-vendor.list': 'deb https://old-style.example.org bookworm main\n',
    'sources.list.d/3-vendor.list': 'deb https://flat.example.org/ ./\n',
    'sources.list.d/debian.sources': deb822(
      'http://mirror.example.org/pub/archive',
      'Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp\n',
    ),
  }
  expect(await mirrorWith(files)).toBe('http://mirror.example.org/pub/archive')
})

test('a list of mirrors in a file gives its first', async () => {
  const list = join(machine, 'mirrors/debian.list')
  const files = {
    'mirrors/debian.list': '# ours\nhttps://first.example.org/debian\tpriority:1\nhttps://second.example.org/debian\n',
    'sources.list.d/debian.sources': deb822(`mirror+file:${list}`),
  }
  expect(await mirrorWith(files)).toBe('https://first.example.org/debian')
})

test.each([
  ['installs from a medium', 'deb cdrom:[Debian]/ bookworm main\n'],
  ['installs from a directory', 'deb file:/srv/debian bookworm main\n'],
  ['has no source', ''],
])('a machine that %s has no mirror', async (_, sources) => {
  expect(await mirrorWith({ 'sources.list': sources })).toBeUndefined()
})

test('a machine that is not Debian has no mirror', async () => {
  const sources = { 'sources.list': 'deb http://mirror.example.org/ubuntu stable main\n' }
  expect(await mirrorWith(sources, 'ID=ubuntu\nID_LIKE=debian\n')).toBeUndefined()
})
