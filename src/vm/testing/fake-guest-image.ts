import type { Duplex } from 'node:stream'
import type { Mount } from '../../host/index.ts'
import type { FakeBox } from '../../host/testing/fake-host.ts'
import { guestLink, imagePaths } from '../../qemu/index.ts'
import { HOST_PORTS_SOCKET } from '../guest-settings.ts'
import { FakeCredentials, type FakeMount, serveDoor, serveHostPorts, serveSsh } from './fake-guest-access.ts'
import { type FakeQemu, playQemu } from './fake-qemu.ts'

/** What becomes of one VM's box. */
export type Fate =
  | { readonly kind: 'well' }
  /** It answers after so many milliseconds. */
  | { readonly kind: 'late'; readonly ms: number }
  /** It is not started. */
  | { readonly kind: 'refused'; readonly error: Error }
  /** It ends after so many milliseconds with this status, whatever it is about. @default status: 1 */
  | { readonly kind: 'dies'; readonly ms: number; readonly status?: number }
  /** It falls silent after so many answers. */
  | { readonly kind: 'hangs'; readonly answers: number }

/** What our images do in a box (images/runner), with volumes and guests that are only played. */
export class FakeImage {
  /** The fates of the next VMs; those after them are well. */
  readonly fates: Fate[] = []
  /** What is whole in each volume, and what is being made there. */
  readonly #templates = new Map<string, Set<string>>()
  readonly #locks = new Map<string, (() => void)[]>()
  /** The lines that guests were told over their control ports. */
  readonly told: string[] = []
  /** Ports of the owner's machine that guests were offered. */
  readonly hostPorts: number[] = []
  /** Directories of the owner's machine that guests were to have, in this order. */
  readonly mounts: FakeMount[] = []
  /** What a guest says to each of them. */
  mountAnswer = 'ok'
  /** What QEMUs write where they are told to write their guests' memory. */
  memory: Buffer = Buffer.alloc(0)
  /** How many templates were made. */
  made = 0
  /** Those that were started, in this order. */
  readonly qemus: FakeQemu[] = []

  /** The keys of the templates that are whole. */
  templatesIn(volume: string): Set<string> {
    const found = this.#templates.get(volume) ?? new Set()
    this.#templates.set(volume, found)
    return found
  }

  readonly play = (box: FakeBox): void => {
    const { entrypoint, command = [] } = box.spec
    // It has a volume, and waits for its end.
    if (entrypoint?.[0] === 'cat') return
    if (command[0] === 'seal') {
      this.templatesIn(volumeOf(box)).add(command[1] ?? '')
      this.made++
      setImmediate(() => box.exit(0))
    } else if (entrypoint?.[0] === imagePaths.probe) {
      box.print('testkernels: counter_khz 2000000')
      setImmediate(() => box.exit(0))
    } else if (entrypoint?.[0] === imagePaths.template) {
      for (const key of command[0] === 'list' ? this.templatesIn(volumeOf(box)) : []) box.print(`${key} 1 1`)
      setImmediate(() => box.exit(0))
    } else {
      this.#supervise(box, this.fates.shift() ?? { kind: 'well' })
    }
  }

  #supervise(box: FakeBox, fate: Fate): void {
    if (fate.kind === 'refused') throw fate.error
    if (fate.kind === 'dies') endLater(box, fate)
    const run = () => this.#runUnlessEnded(box, fate)
    if (fate.kind === 'late') setTimeout(run, fate.ms)
    else run()
  }

  #runUnlessEnded(box: FakeBox, fate: Fate): void {
    if (box.ended.aborted) return
    const { TESTKERNELS_CHECK: restore, TESTKERNELS_MAKE: make, TESTKERNELS_SAVE: save } = box.spec.environment ?? {}
    const end = () => (save === undefined ? box.exit(0) : box.complain('testkernels: template: saved'))
    if (make !== undefined) this.#make(box, make, fate)
    else if (restore === undefined) this.#boot(box, fate, phasesOf(box), end)
    else if (this.templatesIn(volumeOf(box)).has(restore)) this.#boot(box, fate, [], end)
    else {
      box.complain('testkernels: template: missing')
      box.exit(79)
    }
  }

  #make(box: FakeBox, key: string, fate: Fate): void {
    const volume = volumeOf(box)
    const lock = `${volume}/${key}`
    const waiting = this.#locks.get(lock)
    if (waiting !== undefined) {
      box.complain('testkernels: template: waiting')
      waiting.push(() => this.#runUnlessEnded(box, fate))
      return
    }
    if (this.templatesIn(volume).has(key) && box.spec.environment?.['TESTKERNELS_MAKE_ANEW'] === undefined) {
      box.exit(80)
      return
    }
    const next: (() => void)[] = []
    this.#locks.set(lock, next)
    box.ended.addEventListener('abort', () => {
      this.#locks.delete(lock)
      for (const wake of next) wake()
    })
    box.complain('testkernels: template: making')
    this.#boot(box, fate, phasesOf(box), () => box.complain('testkernels: template: saved'))
  }

  #boot(box: FakeBox, fate: Fate, phases: readonly string[], onQuit: () => void): void {
    const credentials = new FakeCredentials()
    const onControl = (word: string, rest: string) => {
      this.told.push(`${word} ${rest}`)
      credentials.take(word, rest)
    }
    const answers = fate.kind === 'hangs' && { answers: fate.answers }
    const pipes: Duplex[] = []
    box.onExec((_, program) => pipes.push(program))
    const onDump = async () => await dump(this.memory, pipes.shift())
    this.qemus.push(playQemu(box, { phases, onControl, onQuit, onDump, ...answers }))
    box.listen('door.sock', (socket) => serveDoor(socket, credentials, (mount) => this.#mount(mount)))
    // A stub that says what it hears.
    box.listen('gdb-stub.sock', (socket) => socket.pipe(socket))
    box.listen(HOST_PORTS_SOCKET, (socket) => serveHostPorts(socket, (port) => this.hostPorts.push(port)))
    box.listen(guestLink.sshPort, (socket) => serveSsh(socket, credentials))
  }

  #mount(mount: FakeMount): string {
    mount.socket.resume()
    this.mounts.push(mount)
    return this.mountAnswer
  }
}

/** @returns why it could not, as QEMU says it */
async function dump(memory: Buffer, pipe: Duplex | undefined): Promise<string | undefined> {
  if (pipe === undefined) return 'No such file or directory'
  return await new Promise((resolve) => {
    pipe.once('close', () => resolve('Broken pipe'))
    pipe.on('error', () => {})
    pipe.write(memory, () => resolve(undefined))
  })
}

/** One that was told of settings starts its dockerd when it has them (playQemu). */
function phasesOf({ spec }: FakeBox): readonly string[] {
  const awaitsSettings = spec.command?.some((argument) => argument.includes(' testkernels.settings='))
  return ['init', 'command', ...(awaitsSettings ? [] : ['ready'])]
}

function endLater(box: FakeBox, { ms, status = 1 }: { readonly ms: number; readonly status?: number }): void {
  const timer = setTimeout(() => box.exit(status), ms)
  box.ended.addEventListener('abort', () => clearTimeout(timer))
}

function volumeOf({ spec }: FakeBox): string {
  const isVolume = (mount: Mount) => mount.kind === 'volume'
  return (spec.mounts ?? []).filter(isVolume).map((mount) => ('volume' in mount ? mount.volume : ''))[0] ?? ''
}
