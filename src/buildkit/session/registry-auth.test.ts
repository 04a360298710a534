import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { credentialsFor } from './registry-auth.ts'

let configDir: string
beforeEach(async () => {
  configDir = await mkdtemp(join(tmpdir(), 'testkernels-auth-'))
  vi.stubEnv('PATH', `${configDir}:${process.env['PATH']}`)
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(configDir, { recursive: true })
})

const config = (content: unknown) => writeFile(join(configDir, 'config.json'), JSON.stringify(content))
const auth = (userAndPassword: string) => ({ auth: Buffer.from(userAndPassword).toString('base64') })

async function helper(name: string, script: string): Promise<void> {
  const path = join(configDir, `docker-credential-${name}`)
  await writeFile(path, `#!/bin/sh\n${script}\n`)
  await chmod(path, 0o755)
}

test('without a configuration, or without an entry, access is anonymous', async () => {
  expect(await credentialsFor('docker.io', configDir)).toEqual({ username: '', secret: '' })
  await config({ auths: { 'other.example': auth('me:pass') } })
  expect(await credentialsFor('registry.example', configDir)).toEqual({ username: '', secret: '' })
})

test('a password may have a colon', async () => {
  await config({ auths: { 'registry.example:5000': auth('me:pa:ss') } })
  expect(await credentialsFor('registry.example:5000', configDir)).toEqual({ username: 'me', secret: 'pa:ss' })
})

test('an entry may be a whole address, and Docker Hub has a name of its own', async () => {
  await config({ auths: { 'https://registry.example/v2/': auth('a:1'), 'https://index.docker.io/v1/': auth('b:2') } })
  expect(await credentialsFor('registry.example', configDir)).toEqual({ username: 'a', secret: '1' })
  expect(await credentialsFor('registry-1.docker.io', configDir)).toEqual({ username: 'b', secret: '2' })
})

test('an identity token goes without a user name', async () => {
  await config({ auths: { 'registry.example': { ...auth('me:pass'), identitytoken: 'token' } } })
  expect(await credentialsFor('registry.example', configDir)).toEqual({ username: '', secret: 'token' })
})

test("a registry's own helper goes before the default store", async () => {
  await config({ credHelpers: { 'registry.example': 'mine' }, credsStore: 'all' })
  await helper('mine', `[ "$1 $(cat)" = 'get registry.example' ] && echo '{"Username":"me","Secret":"mine"}'`)
  await helper('all', `cat >/dev/null; echo '{"Username":"<token>","Secret":"for all"}'`)
  expect(await credentialsFor('registry.example', configDir)).toEqual({ username: 'me', secret: 'mine' })
  expect(await credentialsFor('other.example', configDir)).toEqual({ username: '', secret: 'for all' })
})

test('a store without an entry leaves it to the file', async () => {
  await config({ credsStore: 'empty', auths: { 'registry.example': auth('me:file') } })
  await helper('empty', `cat >/dev/null; echo 'credentials not found in native keychain'; exit 1`)
  expect(await credentialsFor('registry.example', configDir)).toEqual({ username: 'me', secret: 'file' })
})

test('a helper that fails, or is not there, is told by name with what it said', async () => {
  await config({ credHelpers: { 'a.example': 'locked', 'b.example': 'absent' } })
  await helper('locked', `cat >/dev/null; echo 'the keychain is locked' >&2; exit 2`)
  await expect(credentialsFor('a.example', configDir)).rejects.toMatchObject({
    code: 'CREDENTIAL_HELPER',
    message: expect.stringMatching(/docker-credential-locked[\s\S]*the keychain is locked/),
  })
  await expect(credentialsFor('b.example', configDir)).rejects.toThrow(/docker-credential-absent/)
})

test('what a helper printed is no part of an error: it may be a secret', async () => {
  await config({ credsStore: 'odd' })
  await helper('odd', `cat >/dev/null; echo 'hunter2'`)
  const failure = await credentialsFor('a.example', configDir).catch((error: Error) => error)
  expect(failure).toMatchObject({ code: 'CREDENTIAL_HELPER' })
  expect(String(failure)).not.toContain('hunter2')
})

test('a configuration that is not JSON is told by its path', async () => {
  await writeFile(join(configDir, 'config.json'), '{')
  await expect(credentialsFor('a.example', configDir)).rejects.toMatchObject({
    code: 'DOCKER_CONFIG',
    message: expect.stringContaining(join(configDir, 'config.json')),
  })
})

test.each([
  ['says more than any answer has', 'yes | head -c 10000000', 'more than 1048576 bytes'],
  ['answers null', 'echo null', 'not JSON with a Username'],
  ['answers with other types', `echo '{"Username":1,"Secret":{}}'`, 'not JSON with a Username'],
])('a helper that %s gives none', async (_what, script, cause) => {
  await config({ credsStore: 'odd' })
  await helper('odd', `cat >/dev/null; ${script}`)
  await expect(credentialsFor('registry.example', configDir)).rejects.toMatchObject({
    code: 'CREDENTIAL_HELPER',
    message: expect.stringContaining(cause),
  })
})
