import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const CHANGELOG = `linux-signed-amd64 (6.1.187+1) bookworm-security; urgency=high

  * Sign kernel from linux 6.1.187-1

linux (6.1.176-1) bookworm; urgency=medium

  * New upstream stable update, with (6.1.172-1) in its text

linux (6.1.172-1) bookworm-security; urgency=high

  * Older
`

test.each([
  ['6.1.187-1', []],
  ['6.1.176-1', ['6.1.187+1']],
  ['6.1.172-1', ['6.1.187+1', '6.1.176-1']],
  ['6.0.1-1', ['6.1.187+1', '6.1.176-1', '6.1.172-1']],
])('of a changelog since %s there are the entries %j', (since, versions) => {
  const script = fileURLToPath(new URL('../../../../images/kernel/changelog.awk', import.meta.url))
  const { stdout, stderr } = spawnSync('awk', ['-v', `since=${since}`, '-f', script], {
    input: CHANGELOG,
    encoding: 'utf8',
  })
  expect(stderr).toBe('')
  expect([...stdout.matchAll(/^linux\S* \((.+)\)/gm)].map(([, version]) => version)).toEqual(versions)
})
