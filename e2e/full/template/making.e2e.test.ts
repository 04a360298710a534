// The making of templates: by several at once, by one that is killed, on a disk that gets full, and within a limit.
import Docker from 'dockerode'
import { expect, test } from 'vitest'
import { testkernels } from '../../support/run.ts'
import { TemplateVolume } from '../../support/templates.ts'

const MAKING_DEADLINE_MS = 240_000
const docker = new Docker()
const volumes = async () => (await docker.listVolumes()).Volumes.map(({ Name }) => Name)
const small = ['run', '--kernel', 'debian:bookworm', '--memory-mib', '512']

test('of two that need the same one at once, one makes it and the other waits for it', async () => {
  await using volume = await TemplateVolume.create()
  await using one = await testkernels([...small, '--name', 'one', '--', 'true'])
  await using other = await testkernels([...small, '--name', 'other', '--', 'true'])
  const exits = await Promise.all([one.program.exit, other.program.exit])
  expect(exits.map(({ code }) => code)).toEqual([0, 0])
  const printed = [one.program.stderr, other.program.stderr].join('')
  expect(printed.match(/^making the template of debian:bookworm, cgroup v2, once$/gm)).toHaveLength(1)
  expect(
    printed.match(/^another process is making the template of debian:bookworm, cgroup v2; waiting for it$/gm),
  ).toHaveLength(1)
  expect(await volume.keys()).toHaveLength(1)
})

test('what one that was killed had half written is no template, and goes with the next one', async ({ annotate }) => {
  await using volume = await TemplateVolume.create()
  await using killed = await testkernels([...small, '--', 'true'])
  await expect.poll(() => killed.program.stderr, { timeout: MAKING_DEADLINE_MS }).toMatch(/^making the template/m)
  const [making = ''] = await volume.makings()
  const qemus = await killed.qemus()
  killed.program.kill('SIGKILL')
  await annotate(`nothing left after ${await killed.gone(qemus)} ms`)
  expect(await volume.keys()).toEqual([])
  // Its guest's memory and disk are files there.
  expect(await volumes()).toContain(making)
  // As a power cut while it was sealed would leave it.
  await volume.shell('mkdir -p .0123456789abcdef0123456789abcdef.00000000')

  await using next = await testkernels([...small, '--', 'true'])
  expect((await next.program.exit).code).toBe(0)
  expect(next.program.stderr).toMatch(/^making the template/m)
  expect(next.program.stderr).not.toMatch(/warning/)
  const keys = await volume.keys()
  expect(keys).toHaveLength(1)
  expect((await volume.shell('ls -A')).split('\n')).toEqual(keys)
  await expect.poll(volumes, { timeout: MAKING_DEADLINE_MS }).not.toContain(making)
})

test('where the disk gets full, VMs boot cold, with one warning', async () => {
  await using volume = await TemplateVolume.create({ sizeMib: 64 })
  await using run = await testkernels([...small, '--', 'docker', 'info', '--format', '{{.Name}}'])
  expect((await run.program.exit).code).toBe(0)
  expect(run.program.stdout).toBe('kernel\n')
  expect(run.program.stderr.match(/^warning: .*$/gm)).toEqual(['warning: kernel: no template could be made of its VM'])
  expect(run.program.stderr).toMatch(/^ {2}booting cold$/m)
  expect(await volume.shell('ls -A')).toBe('')
})

test('all together are bounded: the least recently used goes', async () => {
  await using volume = await TemplateVolume.create()
  const env = { TESTKERNELS_TEMPLATES_MIB: '1' }
  await using first = await testkernels([...small, '--', 'true'], { env })
  expect((await first.program.exit).code).toBe(0)
  const [kept = ''] = await volume.keys()
  await using second = await testkernels([...small, '--cgroup', '1', '--', 'true'], { env })
  expect((await second.program.exit).code).toBe(0)
  expect(second.program.stderr).toMatch(
    /^removing 1 template that was used least recently \(TESTKERNELS_TEMPLATES_MIB\)$/m,
  )
  const keys = await volume.keys()
  expect(keys).toHaveLength(1)
  expect(keys).not.toContain(kept)
})
