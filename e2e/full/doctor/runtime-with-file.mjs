// A runtime of containers, which an engine of devices.e2e.test.ts has: runc, that gives a file for a device.
//
//   runtime-with-file.mjs DEVICE FILE ARGUMENTS-OF-RUNC...
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [, , device, file, ...args] = process.argv
const bundle = args[args.indexOf('--bundle') + 1]
if (args.includes('create')) {
  const path = join(bundle, 'config.json')
  const config = JSON.parse(readFileSync(path, 'utf8'))
  const others = config.linux.devices?.filter((one) => one.path !== device)
  if (others?.length !== config.linux.devices?.length) {
    config.linux.devices = others
    config.mounts.push({ destination: device, type: 'bind', source: file, options: ['bind', 'rw'] })
    writeFileSync(path, JSON.stringify(config))
  }
}
process.exit(spawnSync('runc', args, { stdio: 'inherit' }).status ?? 1)
