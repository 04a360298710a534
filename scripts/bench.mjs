// `npm run bench`: figures of one run on one machine, and the ratios that travel better. The table goes to standard output, all of it
// as JSON to the file that --json names. --only takes some of: starts forks memory forward network build peers. Needs `npm run build`.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { benchNoOpBuild } from './bench/commands.mjs'
import { benchForward } from './bench/forward.mjs'
import { benchNetwork } from './bench/network.mjs'
import { benchPeers } from './bench/peers.mjs'
import { benchForks, benchMemory, benchStarts } from './bench/starts.mjs'

const parts = {
  starts: benchStarts,
  forks: benchForks,
  memory: benchMemory,
  forward: benchForward,
  network: benchNetwork,
  build: benchNoOpBuild,
  peers: benchPeers,
}

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string', multiple: true, default: Object.keys(parts).filter((name) => name !== 'peers') },
    peers: { type: 'boolean', default: false },
  },
})

const figures = {}
for (const name of values.peers ? [...values.only, 'peers'] : values.only) {
  process.stderr.write(`[bench] ${name}\n`)
  Object.assign(figures, await parts[name]())
}
const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, commit: commit() }
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, figures }, null, 2)}\n`)
const width = Math.max(...Object.keys(figures).map((name) => name.length))
for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(width)}  ${format(value)}`)

function format(value) {
  if (value === undefined) return 'not installed'
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}

function commit() {
  return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
}
