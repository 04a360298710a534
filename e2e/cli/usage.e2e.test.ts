// What is wrong on the command line is found before anything is started: with no engine at all, the mistake is the error.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type RunOptions, testkernels } from '../support/run.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
const noEngine = { env: { DOCKER_HOST: 'unix:///nonexistent/docker.sock' } }

async function outcome(args: readonly string[], options: RunOptions = noEngine) {
  await using run = await testkernels(args, options)
  const { code } = await run.program.exit
  return { code, stdout: run.program.stdout, stderr: run.program.stderr }
}

test('--version is the version of the package', async () => {
  expect(await outcome(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
})

test.each(['', 'run', 'bisect', 'build', 'kernels', 'prune'])("'%s --help' is on standard output", async (name) => {
  const command = name === '' ? [] : [name]
  const { code, stdout, stderr } = await outcome([...command, '--help'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toContain(['Usage: testkernels', ...command].join(' '))
})

test.each([
  { mistake: 'an unknown option', args: ['run', '--colour'], says: /unknown option '--colour'/ },
  { mistake: 'an unknown command', args: ['walk'], says: /unknown command 'walk'/ },
  { mistake: 'no command', args: [], says: /Usage: testkernels/ },
  {
    mistake: 'a word for a number',
    args: ['run', '--cpus', 'two'],
    says: /'--cpus <number>' argument 'two' is invalid.*whole number/,
  },
  {
    mistake: 'a cgroup version there is none of',
    args: ['run', '--cgroup', '3', '--', 'true'],
    says: /INVALID_OPTION.*'cgroup' must be/,
  },
  {
    mistake: 'too little memory',
    args: ['run', '--memory-mib', '16', '--', 'true'],
    says: /INVALID_OPTION.*'memoryMib' must be >=512/,
  },
  {
    mistake: "a kernel argument that is testkernels' own",
    args: ['run', '--kernel-argument', 'panic_on_warn=1', '--kernel-argument', 'panic=0', '--', 'true'],
    says: /INVALID_OPTION.*"panic=0" is not yours to give/,
  },
  {
    mistake: 'a kernel argument with a line break',
    args: ['run', '--kernel-argument', 'a=1\nb=2', '--', 'true'],
    says: /INVALID_OPTION.*"a=1\\nb=2" has a line break/,
  },
  { mistake: 'a sysctl without a value', args: ['run', '--sysctl', 'vm.swappiness'], says: /must be KEY=VALUE/ },
  {
    mistake: 'a name that no host can have',
    args: ['run', '--name', 'a b', '--', 'true'],
    says: /INVALID_OPTION.*'a b' cannot be the name/,
  },
  {
    mistake: 'an unknown kernel',
    args: ['run', '--kernel', 'debian:potato', '--', 'true'],
    says: /UNKNOWN_KERNEL.*debian:potato[\s\S]*remedy: .*debian:trixie/,
  },
  { mistake: 'a kernel without its kind', args: ['build', '--kernel', '6.12'], says: /UNKNOWN_KERNEL.*'6\.12'/ },
  {
    mistake: 'a suite that there is none of',
    args: ['kernels', '--suite', 'potato'],
    says: /INVALID_OPTION.*unknown suite 'potato'/,
  },
  { mistake: '--keep without --all', args: ['prune', '--keep', 'images'], says: /--keep.*give both/ },
  { mistake: 'an unknown thing to keep', args: ['prune', '--all', '--keep', 'disk'], says: /images, templates, cache/ },
  {
    mistake: 'an unknown way to show a build',
    args: ['build', '--progress', 'fancy'],
    says: /tty, plain, rawjson, quiet/,
  },
  { mistake: 'a push of nothing', args: ['build', '--push'], says: /INVALID_OPTION.*nothing to push/ },
  {
    mistake: 'a cache without a type',
    args: ['build', '--cache-to', 'ref=x'],
    says: /--cache-to 'ref=x' names no type/,
  },
  {
    mistake: 'an image and a kernel',
    args: ['run', '--image', 'x', '--kernel', 'debian:sid'],
    says: /cannot be used with/,
  },
  { mistake: 'a rootfs of no kind', args: ['build', '--rootfs', 'trixie'], says: /INVALID_OPTION.*unknown rootfs/ },
  { mistake: 'an init that is no list', args: ['run', '--init', '["a", 1]'], says: /JSON array of strings/ },
  { mistake: 'a search without ends', args: ['bisect', '--', 'true'], says: /required option '--good <kernel>'/ },
  {
    mistake: 'a search for nothing',
    args: ['bisect', '--good', 'debian:bookworm', '--bad', 'debian:trixie'],
    says: /missing required argument 'command'/,
  },
  {
    mistake: 'a search that runs nothing',
    args: ['bisect', '--good', 'debian:bookworm', '--bad', 'debian:trixie', '--runs', '0', '--', 'true'],
    says: /'--runs <number>' argument '0' is invalid.*1 or more/,
  },
  {
    mistake: 'a search where nobody knows what is in between',
    args: ['bisect', '--good', 'debian:bookworm', '--bad', 'version:6.12.10', '--', 'true'],
    says: /INVALID_OPTION.*between debian:bookworm and version:6\.12\.10\n.*--between/,
  },
  {
    mistake: 'an unknown kernel in between',
    args: ['bisect', '--good', 'debian:bookworm', '--between', 'potato', '--bad', 'debian:trixie', '--', 'true'],
    says: /UNKNOWN_KERNEL.*unknown kernel 'potato'/,
  },
  {
    mistake: 'a tree that is none',
    args: ['bisect', '--tree', '/', '--good', 'v1', '--bad', 'v2', '--', 'true'],
    says: /INVALID_OPTION.*\/ is no git repository/,
  },
  {
    mistake: 'a tree and kernels in between',
    args: ['bisect', '--tree', '.', '--between', 'host', '--good', 'v1', '--bad', 'v2', '--', 'true'],
    says: /cannot be used with option '--between/,
  },
  {
    mistake: 'first parents of no tree',
    args: ['bisect', '--first-parent', '--good', 'debian:bookworm', '--bad', 'debian:trixie', '--', 'true'],
    says: /'--first-parent' needs --tree/,
  },
  {
    mistake: 'a tag that no image can have',
    args: ['build', '--tag', 'Not A Name'],
    says: /INVALID_OPTION.*'Not A Name' cannot be the name of an image/,
  },
])('$mistake is named', async ({ args, says }) => {
  const { code, stdout, stderr } = await outcome(args)
  expect(stderr).toMatch(says)
  expect({ code, stdout }).toEqual({ code: 125, stdout: '' })
  expect(stderr).not.toMatch(/^ {4}at /m)
})

test.each(['TESTKERNELS_CACHE_DIR', 'TESTKERNELS_RUN_DIR'])('%s must be absolute', async (variable) => {
  const { code, stderr } = await outcome(['run'], { env: { ...noEngine.env, [variable]: 'here' } })
  expect(stderr).toMatch(new RegExp(`INVALID_OPTION.*${variable} must be an absolute path, got 'here'`))
  expect(code).toBe(125)
})
