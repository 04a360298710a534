import { randomBytes } from 'node:crypto'
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { orAborted, reasonInTime, startDeadline } from '../lifetime/index.ts'
import { InvalidOptionError, readSettings } from '../options/index.ts'
import {
  type ExecResult,
  type ExitStatus,
  type SshConnection,
  SshConnectionLostError,
  shellCommand,
  shellWord,
  type Terminal,
  type WindowSize,
} from '../ssh/index.ts'
import type { SshAccess } from '../streams/index.ts'
import { ExecTimeoutError } from './errors.ts'

export interface ExecOptions {
  /** What the command reads on standard input. @default nothing */
  readonly stdin?: string | Uint8Array | Readable | undefined
  /** Gets standard output as it comes, and is not ended; the result then has none of it. @default the result has it, up to 64 MiB */
  readonly stdout?: Writable | undefined
  /** The same for standard error. */
  readonly stderr?: Writable | undefined
  /**
   * Gives it a terminal, of 80 columns and 24 rows unless said. Both outputs are standard output then, with `\r\n` at the end of lines, and
   * standard input is what is typed: its end is nobody's. @default none
   */
  readonly tty?: boolean | WindowSize | undefined
  /** The directory that it starts in; one that is not there is status 126. @default that user's home, or `/` where there is none */
  readonly cwd?: string | undefined
  /** More variables. @default what a login has, with `PATH` */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** A user by the name in the guest's /etc/passwd; one that is not there is status 126. @default 'root' */
  readonly user?: string | undefined
  /** Ends the command, with all that it started, and rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Longest time that it may take, in milliseconds, after which it is ended as by `signal`. @default as long as it takes */
  readonly timeoutMs?: number | undefined
}

/** The guest that commands run in. */
export interface CommandGuest {
  readonly ssh: Pick<SshAccess, 'connection'>
  /** Aborts when the VM is gone. */
  readonly gone: AbortSignal
  /** Kernel entry that errors name. */
  readonly entry: string
}

/** A variable that a command has, and with it all that it starts: so they are found when it is to be ended. */
const MARK = 'TESTKERNELS_EXEC'

/**
 * Runs a command in the guest to its end. A failing one is a result, not an error.
 * @param command a script for sh, or a program and its arguments
 * @throws InvalidOptionError; ExecTimeoutError; SshExecFailedError; SshOutputTooLongError; the signal's reason; what the VM died of
 */
export async function execIn(
  { ssh, gone, entry }: CommandGuest,
  command: string | readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  const { stdin, stdout, stderr, signal, timeoutMs } = options
  const mark = `${MARK}=${randomBytes(8).toString('hex')}`
  const [argv, text] = typeof command === 'string' ? [['sh', '-c', command], command] : [command, command.join(' ')]
  const program = programOf(argv, options, mark)
  using deadline = timeoutMs === undefined ? undefined : execDeadline(text, { timeoutMs, signal, entry })
  const end = eitherOf(gone, deadline?.signal ?? signal)
  let connection: SshConnection | undefined
  try {
    // A VM that is gone says goodbye to nobody: its connection would look alive for a minute.
    connection = await orAborted(ssh.connection(), end)
    const { setup, tty } = program
    return await orAborted(connection.exec(program.argv, { stdin, stdout, stderr, signal: end, setup, tty }), end)
  } catch (thrown) {
    if (gone.aborted) throw gone.reason
    if (thrown instanceof SshConnectionLostError) throw await reasonInTime(gone, thrown)
    if (connection !== undefined) await endMarked(connection, mark, gone)
    throw thrown
  }
}

interface Program {
  readonly argv: readonly string[]
  /** Shell code before it. */
  readonly setup: string
  readonly tty: Terminal | undefined
}

const TOOLS = '/.testkernels/bin'
const VARIABLE = /^[A-Za-z_]\w*$/
const USER = /^[A-Za-z_][\w.-]*\$?$/

/** @throws InvalidOptionError; SshExecFailedError for arguments that no command line can say */
function programOf(argv: readonly string[], { cwd, env = {}, user, tty }: ExecOptions, mark: string): Program {
  const wrong = Object.keys(env).find((name) => !VARIABLE.test(name))
  if (wrong !== undefined)
    throw refuse(`'${wrong}' cannot be the name of a variable`, 'use letters, digits and underscores, no digit first')
  if (user !== undefined) checkUser(user)
  const own = Object.entries(env).map(([name, value]) => `export ${name}=${shellWord(value)}; `)
  // A path that begins with a dash would be an option.
  const home = user === undefined ? '' : 'cd "$HOME" 2>/dev/null || cd /; '
  const place = cwd === undefined ? home : `cd ${shellWord(cwd.startsWith('/') ? cwd : `./${cwd}`)} || exit 126; `
  const setup = `${place}${own.join('')}`
  const terminal = tty ? { kind: env['TERM'] ?? 'xterm', columns: 80, rows: 24, ...(tty !== true && tty) } : undefined
  const command = shellCommand(argv, setup)
  if (user === undefined) return { argv, setup: `export ${mark}; ${setup}`, tty: terminal }
  // Ours becomes the program, where that of a Debian stays its parent, and outlives no signal.
  const become = [`${TOOLS}/su`, '-s', '/bin/sh', user, '-c', command]
  return { argv: become, setup: `export ${mark}; ${isThere(user)}`, tty: terminal }
}

function checkUser(user: string): void {
  if (!USER.test(user))
    throw refuse(`'${user}' cannot be the name of a user`, "name one of the guest's /etc/passwd, such as nobody")
}

function refuse(what: string, remedy: string): InvalidOptionError {
  return new InvalidOptionError({ what: `exec: ${what}`, remedy })
}

function isThere(user: string): string {
  return `id -u ${user} >/dev/null || exit 126; `
}

interface TimedExec {
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  readonly entry: string
}

function execDeadline(command: string, { timeoutMs, signal, entry }: TimedExec) {
  const onPassed = () =>
    new ExecTimeoutError({
      what: `\`${command}\` did not end within ${timeoutMs / 1000} s`,
      entry,
      remedy: 'give it more time with timeoutMs, or see with a stream for stdout how far it comes',
    })
  return startDeadline({ ms: timeoutMs, onPassed, signal })
}

/** A guest that hangs must not hang who ends a command in it. */
const END_DEADLINE_MS = 10_000

/** What is started while it looks is found by its next look. What cannot be killed, because it waits for a device, is left. */
const END_ALL = `for look in 1 2 3 4 5 6 7 8 9 10; do
  all=$(grep -lsF "$1" /proc/[0-9]*/environ | cut -d/ -f3)
  [ -n "$all" ] || exit 0
  kill -KILL $all
done`

/** Ends what an aborted command has started: SSH's own signal reaches only its first process. */
async function endMarked(connection: SshConnection, mark: string, gone: AbortSignal): Promise<void> {
  using deadline = startDeadline({ ms: END_DEADLINE_MS, onPassed: () => new Error('it does not answer'), signal: gone })
  await connection.exec(['sh', '-c', END_ALL, 'sh', mark], { signal: deadline.signal }).catch(() => {})
}

function eitherOf(gone: AbortSignal, signal: AbortSignal | undefined): AbortSignal {
  return signal === undefined ? gone : AbortSignal.any([gone, signal])
}

/** Somebody's terminal, or what stands for one. */
export interface ShellStreams {
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown }
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number }
  readonly stderr: Writable
}

export interface ShellOptions extends Partial<ShellStreams> {
  /** @default 'root' */
  readonly user?: string | undefined
  /** Ends the shell. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Gives somebody the login shell of the guest, until it ends. On a terminal keys go to the guest as they are pressed, Ctrl-C among them,
 * and its window is as large as the terminal's, also when that changes. Without one the shell reads its commands.
 * @throws InvalidOptionError; SshConnectionLostError; SshExecFailedError; the signal's reason
 */
export async function runShell(
  connection: Pick<SshConnection, 'spawn'>,
  { user, signal, stdin = process.stdin, stdout = process.stdout, stderr = process.stderr }: ShellOptions = {},
): Promise<ExitStatus> {
  const isTerminal = stdin.isTTY === true && stdout.isTTY === true
  const size = (): WindowSize => ({ columns: stdout.columns ?? 80, rows: stdout.rows ?? 24 })
  const kind = readSettings().environment['TERM'] ?? 'xterm'
  const { argv, setup } = loginOf(user)
  const shell = await connection.spawn(argv, { signal, setup, tty: isTerminal ? { kind, ...size() } : undefined })
  const onResize = () => shell.resize(size())
  if (isTerminal) {
    stdin.setRawMode?.(true)
    stdout.on('resize', onResize)
    // It may have changed meanwhile.
    onResize()
  }
  const shown = Promise.all([
    pipeline(shell.stdout, stdout, { end: false }),
    pipeline(shell.stderr, stderr, { end: false }),
  ])
  shown.catch(() => {})
  stdin.pipe(shell.stdin, { end: !isTerminal })
  try {
    const status = await shell.exit
    await shown
    return status
  } finally {
    stdin.unpipe(shell.stdin)
    // Or it would keep the process alive.
    stdin.pause()
    stdout.off('resize', onResize)
    if (isTerminal) stdin.setRawMode?.(false)
  }
}

/** The same in a guest that this process has. @throws what the VM died of, too */
export async function shellIn({ ssh, gone }: CommandGuest, options: ShellOptions): Promise<ExitStatus> {
  const { signal } = options
  const end = eitherOf(gone, signal)
  try {
    return await runShell(await orAborted(ssh.connection(), end), { ...options, signal: end })
  } catch (thrown) {
    throw thrown instanceof SshConnectionLostError ? await reasonInTime(gone, thrown) : thrown
  }
}

function loginOf(user: string | undefined): Pick<Program, 'argv' | 'setup'> {
  // The login shell that /etc/passwd names: Dropbear says which.
  if (user === undefined) return { argv: ['sh', '-c', 'exec "$SHELL" -l'], setup: '' }
  checkUser(user)
  return { argv: [`${TOOLS}/su`, '-l', user], setup: isThere(user) }
}
