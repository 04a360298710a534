import * as v from 'valibot'
import { reportKinds } from '../kernel-log/index.ts'

/** Of `report.json`; another number where what was there has another meaning, or is no more. */
export const REPORT_VERSION = 1

/** What a kernel reported of itself. */
const kernelReport = v.object({
  kind: v.picklist(reportKinds),
  /** The same each time it happens, on whatever machine. */
  title: v.string(),
  /** All of its lines. */
  block: v.string(),
  /** What the entry makes of it. */
  verdict: v.picklist(['fail', 'warn', 'ignore']),
  /** Seconds since the kernel's start. */
  uptimeS: v.number(),
})

/** One VM: what it was, how it started, and what it had to say. What nobody could find out is not there. */
const vm = v.object({
  /** Unique in the report. */
  id: v.string(),
  /** Name of its entry. */
  entry: v.string(),
  hostname: v.string(),
  /** What its kernel calls itself, as `uname -r` prints it. */
  release: v.optional(v.string()),
  /** The version of its dockerd. */
  dockerd: v.optional(v.string()),
  /** The cgroup version that its dockerd uses, and by which driver. */
  cgroup: v.optional(v.object({ version: v.string(), driver: v.string() })),
  accelerator: v.optional(v.picklist(['kvm', 'tcg'])),
  /** Where the time of its start went; milliseconds since the start was called. Steps may overlap. */
  steps: v.array(v.object({ name: v.string(), fromMs: v.number(), toMs: v.number() })),
  reports: v.array(kernelReport),
  /** The end of its console. */
  console: v.string(),
})

/** How a test went on one entry. */
const result = v.object({
  /** Id of the run. */
  run: v.string(),
  /** Name of the entry. */
  entry: v.string(),
  verdict: v.picklist(['passed', 'failed', 'skipped']),
  /** When it began, in milliseconds since 1970. */
  startedMs: v.number(),
  /** How long it took, all tries together, in milliseconds. */
  ms: v.number(),
  /** How often it was tried; 0 for what was skipped. */
  tries: v.number(),
  /** How many of the tries failed. */
  failures: v.number(),
  /** As the test runner tells them. */
  errors: v.array(v.string()),
  /** What kernels reported while it ran. */
  reports: v.array(kernelReport),
  /** What came on the consoles of its VMs while it ran, if it failed. */
  console: v.string(),
  /** Ids of the VMs that it ran on. */
  vms: v.array(v.string()),
})

const test = v.object({
  /** Path of the test file, from the root of the tests. */
  file: v.string(),
  /** With the suites that it is in, ` > ` between them. Empty for the file itself: what failed outside of its tests. */
  name: v.string(),
  /** In the order in which they began: the last one decides. */
  results: v.array(result),
})

const run = v.object({
  /** Unique among the runs of all machines. */
  id: v.string(),
  /** What ran the tests. */
  runner: v.picklist(['vitest', 'jest', 'testkernels run']),
  /** Name of the machine. */
  machine: v.string(),
  /** Milliseconds since 1970. */
  startedMs: v.number(),
  endedMs: v.number(),
})

const entry = v.object({
  name: v.string(),
  /** The kernel, as the matrix names it. */
  kernel: v.string(),
  cgroup: v.picklist([1, 2]),
})

export const runReport = v.object({
  version: v.literal(REPORT_VERSION),
  runs: v.array(run),
  /** In the order of the matrix. */
  entries: v.array(entry),
  vms: v.array(vm),
  tests: v.array(test),
})

export type ReportedKernelReport = v.InferOutput<typeof kernelReport>
export type ReportedVm = v.InferOutput<typeof vm>
export type ReportedResult = v.InferOutput<typeof result>
export type ReportedTest = v.InferOutput<typeof test>
export type ReportedRun = v.InferOutput<typeof run>
export type ReportedEntry = v.InferOutput<typeof entry>

/** What a run came to, or several: each test on each entry, and the VMs that they ran on. Plain data. */
export type RunReport = v.InferOutput<typeof runReport>
