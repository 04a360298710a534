import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'

/** Time for a command to clean up whose `testkernels` was killed; its VM is gone already. In seconds. */
const GRACE_S = 5
/** A variable of the command that no other process has. */
const MARK = 'TESTKERNELS_COMMAND'

/**
 * Reads the command's process id, and then how it went on: a word, or nothing but the end of the pipe, which the kernel closes with our
 * process. The command has no process group of its own, because it would not have the terminal then: its descendants are looked for.
 * One whose id we had no time to tell is known by its environment, which it has when the pipe ends: its copy of our end closes as it
 * begins. `/proc` is Linux's; elsewhere there is pgrep.
 */
const SCRIPT = `
tree() {
  echo "$1"
  for child in $(cat /proc/"$1"/task/*/children || pgrep -P "$1"); do tree "$child"; done
}
command=
while read -r word id && [ "$word" = command ]; do command=$id; done
[ "$word" != ended ] || exit
if [ -n "$command" ]; then
  all=$(tree "$command")
else
  all=$(grep -lsF "${MARK}=$1" /proc/[0-9]*/environ | cut -d/ -f3)
fi
[ -n "$all" ] || exit
if [ "$word" != kill ]; then
  kill -TERM $all
  left=${GRACE_S}
  while [ $left -gt 0 ] && kill -0 $all; do sleep 1; left=$((left - 1)); done
fi
kill -KILL $all
`

/** Sees to it that a command does not outlive this process. */
export interface CommandWatcher {
  /** What the command must have in its environment. */
  readonly environment: Readonly<Record<string, string>>
  watch(command: Pick<ChildProcess, 'pid'>): void
  /** The command has ended by itself, or there is none. */
  ended(): void
  /** Ends the command at once, with all that it started. */
  kill(): void
}

/**
 * A shell that outlives us, even when we are killed by SIGKILL, and then ends the command. In a session of its own, so that what ends us
 * (Ctrl-C, a signal to our process group) does not end it. Where there is no shell, commands are not watched.
 */
export function startCommandWatcher(): CommandWatcher {
  const mark = randomBytes(8).toString('hex')
  const shell = spawn('sh', ['-c', SCRIPT, 'testkernels', mark], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  shell.on('error', () => {})
  shell.stdin.on('error', () => {})
  shell.unref()
  // Node writes to a pipe that has room at once, also while the process exits.
  const say = (words: string) => void shell.stdin.write(`${words}\n`)
  return {
    environment: { [MARK]: mark },
    watch: ({ pid }) => pid !== undefined && say(`command ${pid}`),
    ended: () => void shell.stdin.end('ended\n'),
    kill: () => say('kill'),
  }
}
