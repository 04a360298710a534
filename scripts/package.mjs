// `npm run package`: the tarball that is published, below .testkernels/package; its path is the last line of the output. `npm run build`
// first. dockerode and ssh2 go into it with all that they need, because ssh2 would otherwise have npm compile native code on each
// machine that installs us: a crypto binding and cpu-features. It works without both, and our image has no compiler to ask for.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const BUNDLED = ['dockerode', 'ssh2']

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const stage = join(root, '.testkernels/package')

if (!existsSync(join(root, 'dist'))) throw new Error('there is no dist: npm run build')
rmSync(stage, { recursive: true, force: true })
mkdirSync(stage, { recursive: true })
for (const name of ['package.json', 'package-lock.json', 'LICENSE', 'README.md', 'dist', 'images', 'docs/errors']) {
  cpSync(join(root, name), join(stage, name), { recursive: true })
}
npm('ci', '--omit=dev', '--omit=optional', '--omit=peer', '--ignore-scripts', '--no-audit', '--no-fund', '--silent')
edit('package.json', ({ scripts: _scripts, devDependencies: _devDependencies, ...rest }) => ({
  ...rest,
  bundleDependencies: BUNDLED,
}))
// Of what was left out, and of the attempt to compile it.
edit('node_modules/ssh2/package.json', ({ scripts: _scripts, optionalDependencies: _native, ...rest }) => rest)
for (const name of ['binding.gyp', 'src']) {
  rmSync(join(stage, 'node_modules/ssh2/lib/protocol/crypto', name), { recursive: true })
}
rmSync(join(stage, 'node_modules/ssh2/install.js'))
const [packed] = JSON.parse(npm('pack', '--json', '--ignore-scripts'))
console.log(join(stage, packed.filename))

function npm(...args) {
  return execFileSync('npm', args, { cwd: stage, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

function edit(name, change) {
  const path = join(stage, name)
  writeFileSync(path, `${JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8'))), null, 2)}\n`)
}
