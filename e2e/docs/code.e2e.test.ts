// The code of README.md and docs/: types hold, configurations load, and name the projects that they say.
import { execFile } from 'node:child_process'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import ts from 'typescript'
import { expect, test } from 'vitest'
import { blocksOf, fileOf, pages, projectOf, root, writeFiles } from '../support/pages.ts'

const run = promisify(execFile)
const withCode = pages.filter((page) => blocksOf(page).some((block) => fileOf(block) !== undefined))

const compilerOptions: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: ['node'],
  typeRoots: [join(root, 'node_modules/@types')],
  strict: true,
  noEmit: true,
  skipLibCheck: true,
}

test.each(withCode)('the code of %s compiles, against the types of the package', (page) => {
  const files = writeFiles(page).filter((path) => path.endsWith('.ts'))
  const diagnostics = ts.getPreEmitDiagnostics(ts.createProgram(files, compilerOptions))
  const told = diagnostics.map(
    ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
  )
  expect(told).toEqual([])
})

const configs = withCode.flatMap((page) =>
  blocksOf(page)
    .map((block) => fileOf(block) ?? '')
    .filter((file) => /^vitest\..*config\.ts$|^vitest\.config\.ts$/.test(file))
    .map((file) => [page, file] as const),
)

test.each(configs)('%s: Vitest loads %s, and finds each test file for each kernel', async (page, file) => {
  const written = writeFiles(page)
  const cli = join(root, 'node_modules/vitest/vitest.mjs')
  const { stdout } = await run(process.execPath, [cli, 'list', '--json', '--filesOnly', '--config', file], {
    cwd: projectOf(page),
  })
  const listed = (JSON.parse(stdout) as { file: string; projectName: string }[]).map(
    (one) => `${basename(one.file)} ${one.projectName}`,
  )
  const names = (pattern: RegExp) => written.filter((path) => pattern.test(path)).map((path) => basename(path))
  const text = blocksOf(page).find((block) => fileOf(block) === file)?.text ?? ''
  const entries = [...text.matchAll(/^ {2}(\w+): \{ kernel:|\{ (\w+): \{ kernel:/gm)].map(
    ([, one, other]) => one ?? other,
  )
  expect(entries).not.toEqual([])
  const expected = names(/\.vm\.test\.ts$/).flatMap((name) => entries.map((entry) => `${name} ${entry}`))
  const suites = text.includes('kernelSuite(') ? names(/\.matrix\.test\.ts$/).map((name) => `${name} kernels`) : []
  expect(listed.toSorted()).toEqual([...expected, ...suites].toSorted())
})

test('Jest loads the configuration, and finds the suite', async () => {
  writeFiles('docs/jest.md')
  const { stdout } = await run(process.execPath, [join(root, 'node_modules/jest/bin/jest.js'), '--listTests'], {
    cwd: projectOf('docs/jest.md'),
  })
  expect(
    stdout
      .trim()
      .split('\n')
      .map((path) => basename(path)),
  ).toEqual(['kernels.matrix.test.js'])
})

const matrices = withCode.flatMap((page) => writeFiles(page).filter((path) => /testkernels\.config\.ts$/.test(path)))

test.each(matrices)('the matrix of %s is one', async (path) => {
  const { default: matrix } = (await import(path)) as { default: readonly { name: string }[] }
  expect(matrix.length).toBeGreaterThan(0)
  for (const { name } of matrix) expect(name).toMatch(/^[\w.-]+$/)
})
