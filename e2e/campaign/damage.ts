import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, readSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Scene } from './scene.ts'

export interface Damage {
  readonly file: string
  /** `sealed`: one byte of it is another, and it looks whole all the same. */
  readonly what: 'removed' | 'truncated' | 'flipped' | 'sealed'
  /** Whether the next start has to say so: sums are compared only once files were touched, and most of a guest's memory is never looked at. */
  readonly isSeen: boolean
}

/** Changes something of the template that was used last. */
export function damageTemplate(scene: Scene): Damage {
  const { engine, templates, image } = scene.options
  const [volume, marks] = [engine.volume(templates), engine.volume(`${templates}-marks`)]
  const usedMs = (key: string) => statSync(join(marks, `${key}.used`), { throwIfNoEntry: false })?.mtimeMs ?? 0
  const [key = ''] = readdirSync(volume).toSorted((one, other) => usedMs(other) - usedMs(one))
  const what = scene.oneOf(['removed', 'truncated', 'flipped', 'sealed'])
  const file = scene.oneOf(['mem.img', 'state.bin', 'scratch.img', ...(what === 'sealed' ? [] : ['sums'])])
  const path = join(volume, key, file)
  const { size } = statSync(path)
  if (what === 'removed') rmSync(path)
  else if (what === 'truncated') truncateSync(path, scene.integer(size))
  else flip(path, scene.integer(size), 1 + scene.integer(255))
  if (what === 'sealed') {
    // As if it had been saved so: then QEMU finds out, or the guest.
    const sums = '/testkernels/digest mem.img state.bin scratch.img >sums'
    const program = ['--volume', `${templates}:/t`, '--workdir', `/t/${key}`, '--entrypoint', 'sh', image, '-c', sums]
    execFileSync('docker', ['--host', engine.dockerHost, 'run', '--rm', '--network', 'none', ...program])
  }
  return { file, what, isSeen: what === 'removed' || (file !== 'sums' && what !== 'sealed') }
}

/** Changes one byte. */
function flip(path: string, at: number, by: number): void {
  const file = openSync(path, 'r+')
  const byte = Buffer.alloc(1)
  readSync(file, byte, 0, 1, at)
  writeSync(file, Buffer.of((byte[0] ?? 0) ^ by), 0, 1, at)
  closeSync(file)
}
