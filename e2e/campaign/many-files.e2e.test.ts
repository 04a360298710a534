import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Program } from '../support/program.ts'
import { Ledger } from './ledger.ts'
import { settings } from './settings.ts'

const FILES = 500
/** Vitest keeps what it knows of each file. */
const MOST_GROWTH_MIB = 64

const config = `
import { writeFileSync } from 'node:fs'
import { kernelProjects } from 'testkernels/vitest'

const heapsMib = []
const reporter = {
  onTestModuleEnd() {
    globalThis.gc()
    heapsMib.push(Math.round(process.memoryUsage().heapUsed / 1024 ** 2))
  },
  onTestRunEnd: () => writeFileSync('heaps.json', JSON.stringify(heapsMib)),
}
const kernels = { many: { kernel: 'debian:bookworm', memoryMib: 512 } }
const options = { root: import.meta.dirname, include: ['*.vm.test.js'], isolate: false, fileParallelism: false }

export default { test: { reporters: ['dot', reporter], projects: kernelProjects(kernels, options) } }
`
const file = `
import Docker from 'dockerode'
import { expect, test } from 'vitest'

test('dockerd answers', async () => {
  expect((await new Docker().ping()).toString()).toBe('OK')
})
`

test(`${FILES} test files have one VM, and the memory of Vitest's main process stays`, async () => {
  const directory = join(settings.directory, 'many-files')
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'vitest.config.mjs'), config)
  for (let number = 0; number < FILES; number++) writeFileSync(join(directory, `${number}.vm.test.js`), file)
  const vitest = join(settings.root, 'node_modules/vitest/vitest.mjs')
  const run = new Program([process.execPath, '--expose-gc', vitest, 'run', '--root', directory], { cwd: directory })
  expect(await run.exit, run.stdout + run.stderr).toEqual({ code: 0, signal: null })
  const heaps = JSON.parse(readFileSync(join(directory, 'heaps.json'), 'utf8')) as number[]
  expect(heaps).toHaveLength(FILES)
  const [firstMib, lastMib] = [heaps[FILES / 5] ?? 0, heaps.at(-1) ?? 0]
  console.log(`heap after ${FILES / 5} files: ${firstMib} MiB, after ${FILES}: ${lastMib} MiB`)
  const ledger = new Ledger(join(settings.directory, 'ledger.json'))
  ledger.manyFiles({ files: FILES, firstMib, lastMib })
  ledger.writePage()
  expect(lastMib - firstMib).toBeLessThan(MOST_GROWTH_MIB)
})
