import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { aptMirror, parseDeb822, parseOneLine } from './apt-mirror.ts'

let machine: string
beforeEach(async () => {
  machine = await mkdtemp(join(tmpdir(), 'testkernels-apt-'))
})
afterEach(() => rm(machine, { recursive: true }))

async function mirrorWith(
  files: Record<string, string>,
  { osRelease = 'NAME="Debian GNU/Linux"\nID=debian\n', archive = 'main' as 'main' | 'security' } = {},
) {
  for (const [name, text] of Object.entries({ 'os-release': osRelease, ...files })) {
    const file = join(machine, name)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  }
  return await aptMirror({ archive, aptDirectory: machine, osReleaseFile: join(machine, 'os-release') })
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
  expect(await mirrorWith(files, { archive: 'security' })).toBe('http://security.example.org/debian-security')
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
  expect(await mirrorWith(sources, { osRelease: 'ID=ubuntu\nID_LIKE=debian\n' })).toBeUndefined()
})

test('one-line sources: options, comments, deb-src and blank lines', () => {
  const text = `
# deb http://old.example.org/debian bullseye main
deb http://mirror.example.org/debian trixie main contrib # the usual
deb-src http://mirror.example.org/debian trixie main
deb [ arch=amd64 signed-by=/etc/apt/keyrings/vendor.gpg ] https://vendor.example.org/apt stable main
deb
`
  expect(parseOneLine(text)).toEqual([
    {
      uris: ['http://mirror.example.org/debian'],
      suites: ['trixie'],
      components: ['main', 'contrib'],
      signedBy: undefined,
    },
    {
      uris: ['https://vendor.example.org/apt'],
      suites: ['stable'],
      components: ['main'],
      signedBy: '/etc/apt/keyrings/vendor.gpg',
    },
  ])
})

test('deb822 sources: several values, folded lines, comments between fields, disabled and source-only paragraphs', () => {
  const text = `# the machine's own
Types: deb deb-src
# URIs: http://snapshot.example.org/debian
URIs: http://mirror.example.org/debian
Suites: trixie trixie-updates
Components: main
 contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://off.example.org/debian
Suites: trixie
Components: main
Enabled: no

Types: deb-src
URIs: http://src.example.org/debian
Suites: trixie
Components: main

types: deb
uris: https://vendor.example.org/apt
suites: stable
components: main
signed-by:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
`
  expect(parseDeb822(text)).toEqual([
    {
      uris: ['http://mirror.example.org/debian'],
      suites: ['trixie', 'trixie-updates'],
      components: ['main', 'contrib'],
      signedBy: '/usr/share/keyrings/debian-archive-keyring.gpg',
    },
    {
      uris: ['https://vendor.example.org/apt'],
      suites: ['stable'],
      components: ['main'],
      signedBy: expect.stringContaining('BEGIN PGP'),
    },
  ])
})
