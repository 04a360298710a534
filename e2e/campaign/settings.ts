import { randomInt } from 'node:crypto'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const number = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise)

/** How much is tried, and what. The same seed, number and source are the same try, as far as two processes ever meet again. */
export const settings = {
  root,
  /** `TESTKERNELS_FAULTS_TRIES` */
  tries: number('TESTKERNELS_FAULTS_TRIES', 500),
  /** `TESTKERNELS_FAULTS_SEED`. Default: another one each time */
  seed: number('TESTKERNELS_FAULTS_SEED', randomInt(1_000_000)),
  /** `TESTKERNELS_FAULTS_FIRST`: number of the first try, to do one again. */
  first: number('TESTKERNELS_FAULTS_FIRST', 0),
  /** `TESTKERNELS_FAULTS_SECONDS`: after that no try begins; what was tried counts. */
  seconds: number('TESTKERNELS_FAULTS_SECONDS', Number.POSITIVE_INFINITY),
  /** `TESTKERNELS_FAULTS_ONLY`: a part of the names of the faults that are tried. */
  only: process.env['TESTKERNELS_FAULTS_ONLY'] ?? '',
  /** Engine, image and template, kept so that a second run starts at once; and what was tried so far. */
  directory: join(root, '.testkernels/campaign'),
}
