import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { reasonOf } from '../errors/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'
import { CommandNotFoundError } from './errors.ts'
import { EXIT_OWN_FAILURE, exitCodeOf } from './exit.ts'

export interface CommandOptions {
  readonly vm: Pick<StartedKernelVm, 'environment' | 'gone'>
  readonly argv: readonly string[]
  /** What it has besides the VM's variables. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Ends the command. */
  readonly signal: AbortSignal
  /** Takes its lines; it then has nothing to read. @default this process's streams */
  readonly output?: CommandOutput
}

export interface CommandOutput {
  readonly stdout: (line: string) => void
  readonly stderr: (line: string) => void
}

/**
 * Runs the user's command with the VM's environment.
 * @returns its exit status; 128 and the signal's number when one killed it; 125 when the VM went away under it
 * @throws CommandNotFoundError
 */
export async function runCommand({ vm, argv, environment, signal, output }: CommandOptions): Promise<number> {
  const [program = '', ...args] = argv
  signal.throwIfAborted()
  const env = { ...environment, ...vm.environment }
  const child = spawn(program, args, { stdio: output === undefined ? 'inherit' : ['ignore', 'pipe', 'pipe'], env })
  if (output !== undefined) passLines(child, output)
  // A terminal sends Ctrl-C to the command itself; other signals reach only us.
  const terminate = () => void child.kill('SIGTERM')
  // The second signal ends this process, and with it the VM; the command is of no use then.
  const kill = () => void child.kill('SIGKILL')
  signal.addEventListener('abort', terminate, { once: true })
  process.once('exit', kill)
  try {
    const [code, killedBy] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    if (vm.gone.aborted) {
      const report = output?.stderr ?? ((line) => process.stderr.write(`${line}\n`))
      report(reasonOf(vm.gone.reason))
      return EXIT_OWN_FAILURE
    }
    return killedBy === null ? (code ?? 0) : exitCodeOf(killedBy)
  } catch (cause) {
    throw new CommandNotFoundError({ what: `cannot run '${program}'`, cause, remedy: 'check the command after --' })
  } finally {
    signal.removeEventListener('abort', terminate)
    process.off('exit', kill)
  }
}

function passLines({ stdout, stderr }: ChildProcess, output: CommandOutput): void {
  if (stdout !== null) createInterface({ input: stdout }).on('line', output.stdout)
  if (stderr !== null) createInterface({ input: stderr }).on('line', output.stderr)
}
