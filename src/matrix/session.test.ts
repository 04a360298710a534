import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { testcontainersHostWarning } from './session.ts'

let home = ''

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tk-home-'))
})

afterEach(() => rm(home, { recursive: true }))

test.each([
  'tc.host=tcp://10.0.0.1:2375',
  ' tc.host = tcp://10.0.0.1:2375 ',
  'ryuk.disabled=true\r\ntc.host: tcp://10.0.0.1:2375',
])('warns of %j', async (text) => {
  await writeFile(join(home, '.testcontainers.properties'), text)
  expect(testcontainersHostWarning(home)).toContain('tc.host=tcp://10.0.0.1:2375 in ')
})

test.each(['', '# tc.host=tcp://10.0.0.1:2375', 'tc.host=', 'docker.host=tcp://10.0.0.1:2375'])(
  'accepts %j',
  async (text) => {
    await writeFile(join(home, '.testcontainers.properties'), text)
    expect(testcontainersHostWarning(home)).toBeUndefined()
  },
)

test('accepts that there is no such file', () => {
  expect(testcontainersHostWarning(home)).toBeUndefined()
})
