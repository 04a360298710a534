// Kernels that report a fault, or panic, while the command itself passes: what that says of them, and what it says where it is not looked for.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { baseImage, fixtureImage, fixtureTar } from '../../support/env.ts'
import { expectKernelReports } from '../../support/false-alarms.ts'
import { testkernels } from '../../support/run.ts'

expectKernelReports()

const run = promisify(execFile)
/** A root with the module that has a kernel report what it is told to: that of trixie. */
const ROOTFS = 'testkernels-e2e/bisected-rootfs'
const fixture = join(import.meta.dirname, '../../../fixtures/kernel-reports/rootfs')
/** Root file systems are built before, and kernels fetched. */
const TIMEOUT_MS = 1_200_000
const GOOD = 'debian:bookworm'
const PANICS = 'debian:trixie'
/** With its version: that of the module. */
let warns: string

beforeAll(async () => {
  const env = { ...process.env, DOCKER_BUILDKIT: '0' }
  await run('docker', ['build', '--tag', ROOTFS, '--build-arg', `BASE=${baseImage}`, fixture], { env })
  await using listed = await testkernels(['kernels', '--suite', 'trixie', '--json'])
  expect((await listed.program.exit).code).toBe(0)
  const kernels: { reference: string; package: string }[] = JSON.parse(listed.program.stdout).kernels
  // The suite may have a newer one already than the module was built for.
  const look = ['run', '--rm', '--network', 'none', ROOTFS, 'grep', '-a', '-o', 'vermagic=[^ ]*', '/provoke.ko']
  const release = (await run('docker', look)).stdout.trim().replace('vermagic=', '')
  warns = kernels.find((kernel) => kernel.package === `linux-image-${release}`)?.reference ?? ''
}, TIMEOUT_MS)

afterAll(() => run('docker', ['rmi', ROOTFS]))

/** Passes on each, as far as it is asked. */
const command = () => `
  inGuest() { docker run --rm --privileged --volume /provoke.ko:/provoke.ko ${fixtureImage} sh -c "$1"; }
  docker load --quiet --input ${fixtureTar} >/dev/null || exit 1
  case $TESTKERNELS_ENTRY in
    debian-bookworm) inGuest true ;;
    debian-trixie) inGuest 'echo c >/proc/sysrq-trigger'; exec sleep 1000 ;;
    *) inGuest 'insmod /provoke.ko && echo warning >/proc/provoke' ;;
  esac`

async function bisect(options: readonly string[]) {
  const kernels = ['--good', GOOD, '--between', PANICS, '--bad', warns, '--rootfs', `docker-image://${ROOTFS}`]
  const rules = ['--verify-ends', 'first', '--no-template', '--json', ...options]
  await using search = await testkernels(['bisect', ...kernels, ...rules, '--', 'sh', '-c', command()])
  const { code } = await search.program.exit
  const { stdout, stderr } = search.program
  const answer = stdout === '' ? undefined : JSON.parse(stdout)
  const tried: { verdict: string; why: string }[] = answer?.tried ?? []
  return { code, answer, stderr, tried: tried.map(({ verdict, why }) => `${verdict}: ${why}`) }
}

const good = 'good: the command passed'
const panic = expect.stringMatching(/kernel panic: sysrq triggered crash/)
const warning = 'bad: the kernel reported WARNING in provoke_warning (/module/provoke.c)'

test('a kernel that panics is bad, and one that reports a fault is, too', { timeout: TIMEOUT_MS }, async () => {
  const { code, answer, stderr, tried } = await bisect([])
  expect(code, stderr).toBe(0)
  expect(answer.suspects).toEqual([{ candidate: PANICS, title: PANICS }])
  expect(tried).toEqual([good, panic, warning])
  expect(tried[1]).toMatch(/^bad: /)
})

test('a kernel whose VM dies is passed over where that is asked for', { timeout: TIMEOUT_MS }, async () => {
  const { code, answer, stderr, tried } = await bisect(['--vm-death', 'skip'])
  expect(code, stderr).toBe(2)
  expect(answer.suspects.map(({ candidate }: { candidate: string }) => candidate)).toEqual([PANICS, warns])
  expect(tried).toEqual([good, panic, warning])
  expect(tried[1]).toMatch(/^skip: /)
})

test('a reported fault is no verdict where that is asked for', { timeout: TIMEOUT_MS }, async () => {
  const { code, stderr } = await bisect(['--kernel-reports', 'ignore'])
  expect(code).toBe(125)
  expect(stderr).toContain(`error [BISECT_END]: the bad end, ${warns}, is good: the command passed`)
})
