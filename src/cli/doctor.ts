import {
  type CheckResult,
  checks,
  newContext,
  Report,
  reportJson,
  runChecks,
  settingsFailure,
} from '../doctor/index.ts'
import { TestkernelsError } from '../errors/index.ts'
import { createLogger } from '../log/index.ts'
import { parseKernelEntry, readSettings, type Settings } from '../options/index.ts'

export interface DoctorArguments {
  readonly form: 'text' | 'json'
  readonly debug: boolean
  /** Of the entry whose start is foreseen. */
  readonly kernel: string
  readonly signal: AbortSignal
}

/** Exit status when a start would fail. */
const EXIT_FAILURE = 1
/** Erases the line that says what is waited for. */
const ERASE = '\r\u001b[K'

/** Without a terminal as other commands have it: settings that cannot be are one of the things that it reports. */
export async function doctor({ form, ...args }: DoctorArguments): Promise<number> {
  const results: CheckResult[] = []
  if (form === 'json') {
    for await (const result of examine(args)) results.push(result)
    process.stdout.write(reportJson(results))
  } else {
    await print(examine(args), results)
  }
  return results.some(({ status }) => status === 'failure') ? EXIT_FAILURE : 0
}

async function* examine({ debug, kernel, signal }: Omit<DoctorArguments, 'form'>): AsyncGenerator<CheckResult> {
  const settings = settingsOrFailure()
  if ('status' in settings) return yield settings
  const write = (line: string) => void process.stderr.write(`${line}\n`)
  const log = createLogger({ write: debug || settings.debug ? write : () => {}, level: 'debug' })
  const entry = parseKernelEntry('doctor', { kernel })
  yield* runChecks(checks, newContext({ settings, entry, log, signal }))
}

function settingsOrFailure(): Settings | CheckResult {
  try {
    return readSettings()
  } catch (thrown) {
    if (thrown instanceof TestkernelsError) return settingsFailure(thrown)
    throw thrown
  }
}

async function print(coming: AsyncGenerator<CheckResult>, results: CheckResult[]): Promise<void> {
  const { stdout } = process
  const titles = checks.map(({ title }) => title)
  const report = new Report(titles, { columns: stdout.columns ?? Number.POSITIVE_INFINITY, colors: colors() })
  const waiting = () => {
    const title = titles[results.length]
    if (stdout.isTTY && title !== undefined) stdout.write(`  … ${title}`)
  }
  const done = (text: string) => stdout.write((stdout.isTTY ? ERASE : '') + text)
  waiting()
  try {
    for await (const result of coming) {
      results.push(result)
      done(report.add(result))
      waiting()
    }
  } catch (thrown) {
    done('')
    throw thrown
  }
  done(report.end())
}

function colors(): 'on' | 'off' {
  return process.stdout.isTTY && process.stdout.hasColors() ? 'on' : 'off'
}
