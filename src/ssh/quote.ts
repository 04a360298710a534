import { SshExecFailedError } from './errors.ts'

/**
 * One command line of which a POSIX shell makes exactly these arguments. The shell becomes the program, so that signals
 * and the way it ends are the program's own.
 * @throws SshExecFailedError when no command line can say it
 */
export function shellCommand(argv: readonly string[]): string {
  if (argv[0] === undefined || argv[0] === '') throw impossible('it has no program', 'name the program first')
  if (argv.some((word) => word.includes('\0')))
    throw impossible('an argument has a NUL byte', 'send what is binary through stdin')
  return `exec ${argv.map(quote).join(' ')}`
}

function quote(word: string): string {
  return /^[\w@%+:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

function impossible(why: string, remedy: string): SshExecFailedError {
  return new SshExecFailedError({ what: `a command cannot be run in the virtual machine: ${why}`, remedy })
}
