// Directories of this machine in a guest and its containers, as users of an engine on this machine know them.
import { createHash, randomBytes } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'

const FILES = 1_000
const LARGE_BYTES = 50 << 20

/** A project: the guest may write to it where it is here, and read it at /fixed. */
let project: string
let vm: StartedKernelVm

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'tk-mounts-'))
  // Whoever is in a container may come.
  await chmod(project, 0o755)
  await mkdir(join(project, 'many'))
  for (let at = 0; at < FILES; at++) await writeFile(join(project, 'many', `f${at}`), `${at}\n`)
  await writeFile(join(project, 'large'), randomBytes(LARGE_BYTES))
  await writeFile(join(project, 'run.sh'), '#!/bin/sh\necho ran\n')
  await chmod(join(project, 'run.sh'), 0o755)
  await symlink('/etc/hostname', join(project, 'link'))
  vm = await new KernelVm({ name: 'mounts', kernel: 'debian:bookworm', images: [fixtureTar] })
    .withMounts([
      { host: project, guest: project, access: 'read-write' },
      { host: project, guest: '/fixed' },
    ])
    .start()
})

afterAll(async () => {
  await vm?.stop()
  await rm(project, { recursive: true })
})

async function inGuest(script: string): Promise<string> {
  const { stdout, stderr, exitCode } = await vm.exec(`cd ${project} && { ${script}; }`)
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
  return stdout
}

const digest = async (name: string) =>
  createHash('sha256')
    .update(await readFile(join(project, name)))
    .digest('hex')

test('a thousand files are read, and a large one is equal', async () => {
  expect(await inGuest('cat many/* | sort -n | sha256sum')).toContain(
    createHash('sha256')
      .update(Array.from({ length: FILES }, (_, at) => `${at}\n`).join(''))
      .digest('hex'),
  )
  expect(await inGuest('sha256sum large')).toContain(await digest('large'))
})

test('what either side writes the other reads at once', async () => {
  await writeFile(join(project, 'here'), 'first')
  expect(await inGuest('cat here')).toBe('first')
  await writeFile(join(project, 'here'), 'and then')
  expect(await inGuest('cat here')).toBe('and then')
  await inGuest(
    'echo there >made; cp large copy; mkdir made.d; mv made made.d/; ln -s made.d/made made.link; chmod 750 made.d',
  )
  expect(await readFile(join(project, 'made.link'), 'utf8')).toBe('there\n')
  expect((await stat(join(project, 'made.d'))).mode & 0o777).toBe(0o750)
  expect(await digest('copy')).toBe(await digest('large'))
  await inGuest('rm -r made.d made.link copy')
  expect((await readdir(project)).sort()).toEqual(['here', 'large', 'link', 'many', 'run.sh'])
})

test('programs run, and a link leads to where it leads in the guest', async () => {
  expect(await inGuest('./run.sh; cat link')).toBe(`ran\n${vm.hostname}\n`)
})

test('where it is read-only, nothing is written', async () => {
  const { exitCode, stderr } = await vm.exec('mount -o remount,rw /fixed; echo x >/fixed/here')
  expect(exitCode).not.toBe(0)
  expect(stderr).toContain('Read-only file system')
})

test('a container has the project where it is here, and its files have the owners that it gives them', async () => {
  const bind = `${project}:/src`
  // Busybox has no users but root: another is who owns a file.
  const script = 'cat run.sh; mkdir data && touch data/db && chown 1234:5 data/db && stat -c %u:%g data/db'
  const said = await docker(vm, ['run', '--rm', '-v', bind, '-w', '/src', fixtureImage, 'sh', '-c', script])
  expect(said).toBe('#!/bin/sh\necho ran\n1234:5')
  expect((await stat(join(project, 'data/db'))).uid).toBe(process.getuid?.())
})

test('a container of another user writes to what it made, and not to what is not its own', async () => {
  await inGuest('mkdir -m 777 open && mkdir -m 755 closed')
  const script = 'echo 1 >open/db && echo 2 >>open/db && cat open/db; echo 3 >closed/db || echo refused'
  const args = [
    'run',
    '--rm',
    '--user',
    '1234:5',
    '-v',
    `${project}:/src`,
    '-w',
    '/src',
    fixtureImage,
    'sh',
    '-c',
    script,
  ]
  expect(await docker(vm, args)).toBe('1\n2\nrefused')
})

test('a container that is to have what only this machine has is refused, and not given an empty directory', async () => {
  const elsewhere = await mkdtemp(join(tmpdir(), 'tk-not-mounted-'))
  const run = docker(vm, ['run', '--rm', '-v', `${elsewhere}:/x`, fixtureImage, 'ls', '/x'])
  await expect(run).rejects.toThrow(`mounts: [{ host: '${elsewhere}', guest: '${elsewhere}' }]`)
  // One that is there in the guest as well is the guest's.
  await vm.exec(['mkdir', elsewhere])
  expect(await docker(vm, ['run', '--rm', '-v', `${elsewhere}:/x`, fixtureImage, 'ls', '/x'])).toBe('')
  await rm(elsewhere, { recursive: true })
})

test('a fork has mounts of its own, and a checkpoint is refused', async () => {
  await using fork = await vm.fork()
  await writeFile(join(project, 'here'), 'for two')
  expect((await fork.exec(`cat ${project}/here; echo forked >${project}/forked`)).stdout).toBe('for two')
  expect(await inGuest('cat forked')).toBe('forked\n')
  await fork.stop()
  expect(await inGuest('cat here')).toBe('for two')
  await expect(vm.checkpoint()).rejects.toMatchObject({ code: 'CHECKPOINT_REFUSED', entry: 'mounts' })
})
