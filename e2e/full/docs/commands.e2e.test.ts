// The commands of README.md and docs/ that are shown with what they print, run as they stand there; and the README's own project.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import { loadTar } from '../../support/load-tar.ts'
import { blocks, projectOf, root, writeFiles } from '../../support/pages.ts'
import { Run } from '../../support/run.ts'

const engine = new Docker()
/** Two templates are made for it, with an image in each. */
const PROJECT_TIMEOUT_MS = 600_000

/** What the examples run in guests is an image of ours under its usual name, as if it had been pulled; a machine's own stays. */
const lent: string[] = []

beforeAll(async () => {
  const own = await engine.listImages({ filters: { reference: ['busybox:latest'] } })
  if (own.length > 0) return
  await loadTar(engine, fixtureImage, fixtureTar)
  await engine.getImage(fixtureImage).tag({ repo: 'busybox', tag: 'latest' })
  lent.push('busybox:latest', fixtureImage)
})

afterAll(async () => {
  for (const name of lent) await engine.getImage(name).remove()
})

interface Command {
  readonly page: string
  readonly command: string
  readonly printed: readonly string[]
}

/** A line that begins with `$ ` is a command, and what follows it is what it prints; `...` stands for anything. */
const commands = blocks
  .filter(({ language }) => language === 'console')
  .flatMap(({ page, text }) =>
    text
      .trimEnd()
      .split(/^\$ /m)
      .slice(1)
      .map((part): Command => {
        const [command = '', ...printed] = part.trimEnd().split('\n')
        return { page, command, printed }
      }),
  )

test.each(commands)('$page: $command', async ({ page, command, printed }) => {
  writeFiles(page)
  await mkdir(projectOf(page), { recursive: true })
  const testkernels = `testkernels() { '${process.execPath}' '${join(root, 'dist/cli/main.js')}' "$@"; }`
  await using run = await Run.start(['sh', '-c', `${testkernels}; ${command}`], { cwd: projectOf(page) })
  const { code } = await run.program.exit
  const { stdout, stderr } = run.program
  // What a start tells on the way is on standard error; so is why there is none.
  expect(code === 0 ? stdout : stderr, stderr).toMatch(patternOf(printed))
})

function patternOf(printed: readonly string[]): RegExp {
  const literal = (line: string) => line.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('\\.\\.\\.', '.*')
  const lines = printed.map((line) => (line === '...' ? '(?:.*\\n)*' : `${literal(line)}\\n`))
  return new RegExp(`^${lines.join('')}$`)
}

test('the project of README.md passes on both of its kernels', { timeout: PROJECT_TIMEOUT_MS }, async () => {
  writeFiles('README.md')
  const cli = join(root, 'node_modules/vitest/vitest.mjs')
  await using run = await Run.start([process.execPath, cli, 'run'], {
    cwd: projectOf('README.md'),
    env: { NO_COLOR: '1' },
  })
  const { code } = await run.program.exit
  expect(code, run.program.stdout + run.program.stderr).toBe(0)
  for (const name of ['cgroupv1', 'cgroupv2'])
    expect(run.program.stdout).toContain(`✓ |${name}| test/memory.vm.test.ts (1 test)`)
})

test.each(['docs/by-hand.md', 'docs/saved-vms.md'])('the script of %s runs', async (page) => {
  const [script = ''] = writeFiles(page).filter((path) => path.endsWith('script.ts'))
  // Vitest compiles it, as the user's tool would.
  await writeFile(
    join(projectOf(page), 'script.test.ts'),
    `import { test } from 'vitest'\ntest('it', () => import('./script.ts'))\n`,
  )
  await writeFile(join(projectOf(page), 'vitest.config.ts'), 'export default { test: { testTimeout: 240_000 } }\n')
  const cli = join(root, 'node_modules/vitest/vitest.mjs')
  await using run = await Run.start([process.execPath, cli, 'run', '--reporter=verbose'], {
    cwd: projectOf(page),
    env: { NO_COLOR: '1' },
  })
  const { code } = await run.program.exit
  expect(code, `${script}\n${run.program.stdout}${run.program.stderr}`).toBe(0)
  const expected = page === 'docs/by-hand.md' ? ['unix:///', 'true', '0 '] : ['/root/mine']
  for (const text of expected) expect(run.program.stdout).toContain(text)
})
