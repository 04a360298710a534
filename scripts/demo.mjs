// The main job, from a fresh clone: set-up, build, and one test suite on two kernels and both cgroup versions.
// Plain Node without packages, because it starts before `npm ci`.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setup } from './setup.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const demo = join(root, 'fixtures/vitest-demo')

function tell(text) {
  console.log(`\n[demo] ${text}`)
}

function run(command, args, options = {}) {
  const { status } = spawnSync(command, args, { stdio: 'inherit', cwd: root, ...options })
  if (status !== 0) process.exit(status ?? 1)
}

tell('1. Set-up: npm packages, and a Docker engine if none answers.')
await setup()

tell('2. Compile testkernels.')
run('npx', ['tsc', '-p', 'tsconfig.build.json'])

tell(
  '3. An image for the tests to run, as a tar: no registry is needed. The first time this also makes a Debian base image.',
)
const { FIXTURE_TAR, makeFixtureImage } = await import('./fixture-image.mjs')
await makeFixtureImage()

tell(`4. The suite in fixtures/vitest-demo, on both cgroup versions: vitest run
       cgroupv1   debian:bookworm (6.1), cgroup v1
       cgroupv2   debian:trixie (6.12), cgroup v2
       kernels    one suite over both, with describe.each(kernels())
       The first time, an image is built for each kernel; the lines below are BuildKit's own.`)
run('npx', ['vitest', 'run'], { cwd: demo, env: { ...process.env, FIXTURE_TAR } })

tell('5. One entry alone boots one VM: vitest run --project cgroupv1')
run('npx', ['vitest', 'run', '--project', 'cgroupv1'], { cwd: demo, env: { ...process.env, FIXTURE_TAR } })

tell('6. Any command: testkernels run --kernel debian:bookworm --cgroup 1 -- docker info')
const format = '{{.Name}}: kernel {{.KernelVersion}}, cgroup v{{.CgroupVersion}}, dockerd {{.ServerVersion}}'
run('node', [
  'dist/cli/main.js',
  'run',
  '--kernel',
  'debian:bookworm',
  '--cgroup',
  '1',
  '--',
  'docker',
  'info',
  '--format',
  format,
])

tell('All green; nothing is left running. The images stay, so the next run starts with the boot.')
