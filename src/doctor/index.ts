import type { Check } from './check.ts'
import { buildkit, engine, engineStorage, leftovers } from './engine.ts'
import { baseImage, debianArchive } from './images.ts'
import { cacheDirectory, memory, node, runDirectory } from './machine.ts'
import { engineChoice, proxies, testcontainers } from './settings.ts'
import { kvm, start, tun } from './vms.ts'

export { type Check, type CheckResult, type Finding, newContext, runChecks, type Status } from './check.ts'
export { Report, type ReportOptions, reportJson } from './report.ts'
export { settingsFailure } from './settings.ts'

/** In the order in which they are reported. */
export const checks: readonly Check[] = [
  node,
  cacheDirectory,
  runDirectory,
  memory,
  engineChoice,
  testcontainers,
  proxies,
  engine,
  engineStorage,
  buildkit,
  leftovers,
  debianArchive,
  baseImage,
  tun,
  kvm,
  start,
]
