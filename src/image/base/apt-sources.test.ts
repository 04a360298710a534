import { expect, test } from 'vitest'
import { parseDeb822, parseOneLine } from './apt-sources.ts'

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
