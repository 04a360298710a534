// `npm run build`: `src` to `dist`. The command line goes into a few files: importing some hundred one by one took longer than a build
// with nothing to do does otherwise. What comes from npm stays outside, as package.json says.
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'dist')
const commandLine = join(dist, 'cli')

rmSync(dist, { recursive: true, force: true })
const tsc = join(root, 'node_modules/typescript/bin/tsc')
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
if (status !== 0) process.exit(1)
const bundle = await rolldown({
  input: { main: join(commandLine, 'main.js') },
  platform: 'node',
  external: (id) => /^[^./]/.test(id),
})
await bundle.write({ dir: commandLine, format: 'esm', chunkFileNames: '[name]-[hash].js', cleanDir: true })
