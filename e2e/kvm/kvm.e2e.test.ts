import { afterAll, beforeAll, expect, test } from 'vitest'
import { OuterVm } from './outer.ts'

/** Which a clone's wall clock must keep, in milliseconds. */
const CLOCK_TOLERANCE_MS = 50
const TEMPLATE_AGE_S = 120
const TEMPLATES = '/var/lib/docker/volumes/testkernels-templates/_data'

interface Identity {
  readonly hostname: string
  readonly machineId: string
  readonly random: string
  readonly hostKey: string
}

interface Clock {
  readonly aheadMs: number
  readonly uncertaintyMs: number
  readonly monotonicS: number
}

interface Count {
  readonly count: number
  readonly last: number
  readonly ordered: boolean
}

type Steps = Readonly<Record<string, number>>

let outer: OuterVm

beforeAll(async () => {
  outer = await OuterVm.start()
  console.log(await outer.succeed('dmesg | grep -iE "kvm|svm"'))
})

afterAll(() => outer?.[Symbol.asyncDispose]())

test('a user in no group `kvm` is told that a guest ran with KVM, and where the time of its start went', async () => {
  expect(await outer.succeed('stat --format "%a %U" /dev/kvm; id --groups --name tester')).toBe(
    '600 root\ntester docker\n',
  )
  const { exitCode, stdout, stderr } = await outer.run(
    'node_modules/.bin/testkernels run --kernel debian:bookworm --memory-mib 1024 --boot-timeout-ms 1500000 --timings -- sh -c \'echo "at $DOCKER_HOST"\'',
    { as: 'tester' },
  )
  console.log(stderr)
  expect(exitCode, stderr).toBe(0)
  expect(stdout).toMatch(/^at unix:/)
  expect(stderr).toContain('probing KVM with a guest (once for this machine)')
  expect(stderr).toContain('with KVM: a guest ran with it')
  expect(stderr).toMatch(/^ *restore .* s/m)
})

test('a guest boots cold to a dockerd that answers, and knows that it runs with KVM', async () => {
  const facts = await outer.facts<{ steps: Steps; cpus: string; cgroup: string; clocksource: string; log: string }>(
    'cold.mjs',
  )
  console.log(facts.log, facts.steps)
  expect(facts).toMatchObject({ cpus: '2', cgroup: 'cgroup2fs', clocksource: 'kvm-clock' })
  expect(facts.steps).toHaveProperty('kernel')
  expect(facts.steps).toHaveProperty('dockerd')
  expect(facts.log).toContain('Hypervisor detected: KVM')
  expect(facts.log).toContain('kvm-clock: Using msrs')
})

test.each(['cgroupv1', 'cgroupv2'])('a panic on %s fails the test in which it happened', async (project) => {
  const { exitCode, stdout, stderr } = await outer.run(
    `node_modules/.bin/vitest run --project ${project} --reporter=default --reporter=json --outputFile.json=/tmp/${project}.json`,
  )
  console.log(stdout, stderr)
  expect(exitCode).toBe(1)
  const report = JSON.parse(await outer.succeed(`cat /tmp/${project}.json`))
  const tests = report.testResults.flatMap(({ assertionResults }: { assertionResults: unknown[] }) => assertionResults)
  expect(tests).toMatchObject([
    { title: 'the guest has the cgroup version that was asked for', status: 'passed' },
    {
      title: 'the kernel panics',
      status: 'failed',
      failureMessages: [expect.stringContaining('kernel panic: sysrq triggered crash')],
    },
    { title: 'comes after the panic', status: 'failed', failureMessages: [expect.stringContaining('kernel panic')] },
  ])
})

test('clones of a template that is minutes old, two at once and a fork, are themselves and know the time', async () => {
  const savedAt = await outer.succeed(
    `find ${TEMPLATES} -name state.bin -printf '%T@\\n' | sort --numeric-sort | head --lines 1`,
  )
  expect(Date.now() / 1000 - Number(savedAt)).toBeGreaterThan(TEMPLATE_AGE_S)
  const facts = await outer.facts<{
    clones: { steps: Steps; identity: Identity; clock: Clock; clocksource: string; sleeps: string[] }[]
    log: string
  }>('clones.mjs')
  console.log(JSON.stringify(facts, undefined, 2))
  for (const { steps, clock, clocksource, sleeps } of facts.clones) {
    expect(steps).toHaveProperty('restore')
    expect(steps).not.toHaveProperty('kernel')
    expect(clocksource).toBe('kvm-clock')
    expect(sleeps).toEqual(['woken', 'woken'])
    expectRight(clock)
  }
  for (const key of ['hostname', 'machineId', 'random', 'hostKey'] as const) {
    expect(new Set(facts.clones.map(({ identity }) => identity[key])).size, key).toBe(3)
  }
})

test('a process in a checkpoint goes on in its fork, where CLOCK_MONOTONIC does not go back and the time is right', async () => {
  const facts = await outer.facts<{
    saved: Clock
    clock: Clock
    before: Count
    after: Count
    source: Count
    identities: Identity[]
  }>('checkpoint.mjs')
  console.log(JSON.stringify(facts, undefined, 2))
  const { before, after, source, clock, identities } = facts
  expect(after.count).toBeGreaterThan(before.count)
  expect(after.last).toBeGreaterThan(before.last)
  expect([before.ordered, after.ordered, source.ordered]).toEqual([true, true, true])
  expectRight(clock)
  expect(identities[0]?.hostKey).not.toBe(identities[1]?.hostKey)
})

function expectRight({ aheadMs, uncertaintyMs }: Clock): void {
  expect(uncertaintyMs).toBeLessThan(CLOCK_TOLERANCE_MS)
  expect(Math.abs(aheadMs)).toBeLessThan(CLOCK_TOLERANCE_MS)
}

test('a template is for its accelerator and its CPU', async () => {
  const key = async (accelerator: string) => (await outer.facts<{ key: string }>(`template-key.mjs ${accelerator}`)).key
  const kvm = await key('kvm')
  expect(await outer.succeed(`ls ${TEMPLATES}`)).toContain(kvm)
  expect(await key('kvm')).toBe(kvm)
  expect(await key('tcg')).not.toBe(kvm)
  await outer.succeed(`sed 's/^model name.*/model name\\t: another CPU/' /proc/cpuinfo >/tmp/cpuinfo
mount --bind /tmp/cpuinfo /proc/cpuinfo`)
  const emulatedElsewhere = await key('tcg')
  expect(await key('kvm')).not.toBe(kvm)
  await outer.succeed('umount /proc/cpuinfo')
  expect(await key('tcg')).toBe(emulatedElsewhere)
})

test('without the device on the machine of the engine, KVM that was asked for is an error that says so', async () => {
  await outer.succeed('mv /dev/kvm /dev/kvm.away')
  const { exitCode, stderr } = await outer.run('node template-key.mjs kvm')
  await outer.succeed('mv /dev/kvm.away /dev/kvm')
  expect(exitCode).toBe(1)
  expect(stderr).toContain('KVM_UNAVAILABLE')
  expect(stderr).toContain("the engine's machine has no /dev/kvm")
  expect((await outer.facts<{ key: string }>('template-key.mjs kvm')).key).toMatch(/^[0-9a-f]{32}$/)
})
