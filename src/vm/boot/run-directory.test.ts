import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeRunDirectory, qemuUser, sweepRunDirectories } from './run-directory.ts'

/** Two processes of Node that read TypeScript, on a busy machine. */
const STARTS_DEADLINE_MS = 60_000

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-run-'))
})

afterEach(() => rm(directory, { recursive: true }))

test('is private, and named after this process', async () => {
  await using made = await makeRunDirectory(join(directory, 'made/on/demand'))
  expect((await stat(made.path)).mode & 0o777).toBe(0o700)
  expect(basename(made.path)).toMatch(new RegExp(`^testkernels-${process.pid}-\\w{6}$`))
})

test('goes when it is disposed', async () => {
  const made = await makeRunDirectory(directory)
  await made[Symbol.asyncDispose]()
  expect(await readdir(directory)).toEqual([])
})

test('a place where no socket fits is refused', async () => {
  await expect(makeRunDirectory(join(directory, 'x'.repeat(90)))).rejects.toMatchObject({
    code: 'DIRECTORY_UNUSABLE',
    message: expect.stringContaining('too long a path'),
  })
  expect(await readdir(directory)).toEqual([])
})

test('a place where the socket of a forward does not fit is refused, before there is a VM for it', async () => {
  const parent = join(directory, 'x'.repeat(50 - Buffer.byteLength(directory)))
  const forwards = [{ guest: '/run/a.sock', name: 'n'.repeat(32) }]
  await expect(makeRunDirectory(parent, { forwards })).rejects.toThrow('too long a path')
  await using _short = await makeRunDirectory(parent, { forwards: [{ guest: '/run/a.sock' }] })
})

test('a place that cannot be written is refused, with the cause', async () => {
  await writeFile(join(directory, 'file'), '')
  await expect(makeRunDirectory(join(directory, 'file'))).rejects.toMatchObject({
    code: 'DIRECTORY_UNUSABLE',
    message: expect.stringMatching(/cannot be written\n {2}cause: .*\n {2}remedy: set TESTKERNELS_RUN_DIR/),
  })
})

/** Another process that has one, as this one would. */
async function startOwner() {
  const module = new URL('./run-directory.ts', import.meta.url).pathname
  const script = `
    const { createJiti } = await import('jiti')
    const { makeRunDirectory } = await createJiti(${JSON.stringify(module)}).import(${JSON.stringify(module)})
    const { path } = await makeRunDirectory(${JSON.stringify(directory)})
    process.stdout.write(path)
    process.stdin.resume()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  child.stderr.pipe(process.stderr)
  const [path] = await once(child.stdout, 'data')
  const kill = async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  return { name: basename(String(path)), kill }
}

test('what killed processes left is swept; the living, of whatever PID namespace, and strangers keep theirs', {
  timeout: STARTS_DEADLINE_MS,
}, async () => {
  const killed = await startOwner()
  const living = await startOwner()
  await using own = await makeRunDirectory(directory)
  // A process id says nothing: one like this may be another container's.
  for (const name of ['testkernels-mine', 'other', 'testkernels-new-aB3dEf', 'testkernels-new-old123'])
    await mkdir(join(directory, name))
  await utimes(join(directory, 'testkernels-new-old123'), 1, 1)
  await killed.kill()
  try {
    await sweepRunDirectories(directory)
    const kept = ['other', 'testkernels-mine', 'testkernels-new-aB3dEf', basename(own.path), living.name]
    expect((await readdir(directory)).sort()).toEqual(kept.sort())
  } finally {
    await living.kill()
  }
  await sweepRunDirectories(join(directory, 'nothing-there'))
})

test.runIf(process.getuid?.() === 0)("what is another user's is not swept", async () => {
  const names = ['testkernels-1-aB3dEf', 'testkernels-new-aB3dEf']
  for (const name of names) {
    await mkdir(join(directory, name))
    await chown(join(directory, name), 12_345, 12_345)
    await utimes(join(directory, name), 1, 1)
  }
  await sweepRunDirectories(directory)
  expect((await readdir(directory)).sort()).toEqual(names)
})

test('a link with the name of one is none', async () => {
  await mkdir(join(directory, 'other'))
  await symlink('other', join(directory, 'testkernels-1-aB3dEf'))
  await sweepRunDirectories(directory)
  expect((await readdir(directory)).sort()).toEqual(['other', 'testkernels-1-aB3dEf'])
})

test.runIf(process.getuid?.() === 0)('what this user may not remove stays, and the rest goes', async () => {
  const names = ['testkernels-1-aaaaaa', 'testkernels-1-bbbbbb']
  for (const name of names) await mkdir(join(directory, name))
  await writeFile(join(directory, 'testkernels-1-aaaaaa/file'), '')
  await chmod(directory, 0o777)
  process.seteuid?.(65_534)
  try {
    await sweepRunDirectories(directory)
  } finally {
    process.seteuid?.(0)
  }
  expect(await readdir(directory)).toEqual(['testkernels-1-aaaaaa'])
})

test.runIf(process.getuid?.() === 0)('the QEMU of a root user is nobody, and the directory is its own', async () => {
  const user = qemuUser()
  expect(user.uid).toBeGreaterThan(60_000)
  await using made = await makeRunDirectory(directory, { owner: user })
  expect(await stat(made.path)).toMatchObject({ uid: user.uid, gid: user.gid, mode: 0o40700 })
})
