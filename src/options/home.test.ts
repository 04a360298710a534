// A user without a home: a number that no passwd names, as containers are run with.
import { chmod, mkdir, mkdtemp, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { dockerConfigDirectory, homeDirectory, readSettings } from './settings.ts'

const temporary = vi.hoisted(() => ({ directory: '' }))

vi.mock('node:os', async (importOriginal) => ({
  ...(await importOriginal<typeof import('node:os')>()),
  tmpdir: () => temporary.directory || '/tmp',
  userInfo: () => {
    throw Object.assign(new Error('A system error occurred: uv_os_get_passwd returned ENOENT'), {
      code: 'ERR_SYSTEM_ERROR',
    })
  },
}))

beforeEach(async () => {
  temporary.directory = ''
  temporary.directory = await mkdtemp(join(tmpdir(), 'tk-home-'))
})

afterEach(async () => {
  await rm(temporary.directory, { recursive: true, force: true })
})

const cache = () => join(temporary.directory, `testkernels-cache-${process.getuid?.()}`)

test('has settings, with a private cache in the temporary directory', async () => {
  expect(readSettings({})).toMatchObject({ homeDirectory: undefined, cacheDirectory: cache() })
  expect((await stat(cache())).mode & 0o777).toBe(0o700)
  expect(readSettings({}).cacheDirectory).toBe(cache())
})

test('has the same with the home of / that an engine gives', () => {
  expect(readSettings({ HOME: '/' }).cacheDirectory).toBe(cache())
})

test('needs none where the directories are named', async () => {
  const named = { TESTKERNELS_CACHE_DIR: '/c', DOCKER_CONFIG: '/d' }
  expect(readSettings(named)).toMatchObject({ cacheDirectory: '/c', dockerConfigDirectory: '/d' })
  expect(readSettings({ XDG_CACHE_HOME: '/x' }).cacheDirectory).toBe('/x/testkernels')
  await expect(stat(cache())).rejects.toThrow('ENOENT')
})

test('has the home that HOME names, and else the configuration of docker that a home of / has', () => {
  expect(homeDirectory({ HOME: '/h' })).toBe('/h')
  expect(dockerConfigDirectory({})).toBe('/.docker')
})

test('trusts no cache that others can write, or chose the place of', async () => {
  await mkdir(cache())
  await chmod(cache(), 0o777)
  expect(() => readSettings({})).toThrow('belongs to somebody else, or can be written by others')
  await rm(cache(), { recursive: true })
  await symlink('/tmp', cache())
  expect(() => readSettings({})).toThrow('set TESTKERNELS_CACHE_DIR to a directory of this user, or HOME')
})
