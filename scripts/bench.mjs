// `npm run bench`: figures of one run on one machine, and the ratios that travel better. The table goes to standard output, all of it
// as JSON to the file that --json names.
import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'

/** Imported when they are asked for: they need what `npm run build` makes. */
const parts = {
  starts: async () => (await import('./bench/starts.mjs')).benchStarts,
  forks: async () => (await import('./bench/starts.mjs')).benchForks,
  machines: async () => (await import('./bench/starts.mjs')).benchMachines,
  inits: async () => (await import('./bench/starts.mjs')).benchInits,
  isolation: async () => (await import('./bench/isolation.mjs')).benchIsolation,
  memory: async () => (await import('./bench/starts.mjs')).benchMemory,
  forward: async () => (await import('./bench/forward.mjs')).benchForward,
  load: async () => (await import('./bench/load.mjs')).benchLoad,
  recovery: async () => (await import('./bench/recovery.mjs')).benchRecovery,
  network: async () => (await import('./bench/network.mjs')).benchNetwork,
  build: async () => (await import('./bench/commands.mjs')).benchNoOpBuild,
  reports: async () => (await import('./bench/reports.mjs')).benchKernelReports,
  page: async () => (await import('./bench/reports.mjs')).benchReportPage,
  peers: async () => (await import('./bench/peers.mjs')).benchPeers,
}
const names = Object.keys(parts)

const usage = `usage: npm run bench -- [--only PART]... [--peers] [--json FILE]

  --only PART   measure this alone, and what other --only name: ${names.join(', ')}
  --peers       measure also what other tools take for a like job, where they are installed
  --json FILE   write all figures to FILE as well

Needs a Docker engine (npm run setup) and npm run build. All of it takes some ten minutes.`

const options = readOptions()
if (options?.help) console.log(usage)
else if (!existsSync(new URL('../dist/index.js', import.meta.url))) refuse('there is no dist yet: npm run build')
else if (options !== undefined) await bench(options)

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        json: { type: 'string' },
        only: { type: 'string', multiple: true, default: names.filter((name) => name !== 'peers') },
        peers: { type: 'boolean', default: false },
      },
    })
    const unknown = values.only.find((name) => !names.includes(name))
    if (unknown === undefined) return values
    throw new Error(`there is no part '${unknown}'`)
  } catch (error) {
    return refuse(`${error.message}\n${usage}`)
  }
}

function refuse(why) {
  console.error(`bench: ${why}`)
  process.exitCode = 2
}

async function bench({ only, peers, json }) {
  const figures = {}
  for (const name of new Set(peers ? [...only, 'peers'] : only)) {
    process.stderr.write(`[bench] ${name}\n`)
    const measure = await parts[name]()
    Object.assign(figures, await measure())
  }
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, commit: commit() }
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ machine, figures }, null, 2)}\n`)
  const width = Math.max(...Object.keys(figures).map((name) => name.length))
  for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(width)}  ${format(value)}`)
}

function format(value) {
  if (value === undefined) return 'not installed'
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}

function commit() {
  return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
}
