import { reasonOf } from '../errors/index.ts'
import type { Host } from '../host/index.ts'
import type { Logger } from '../log/index.ts'
import { imagePaths } from '../qemu/index.ts'
import { type CommandGuest, execIn } from './exec.ts'

export interface SymbolsParts {
  readonly host: Pick<Host, 'run'>
  /** An image with the debug information of its kernel. */
  readonly image: string
  /** Kernel entry that errors name. */
  readonly entry: string
  readonly log: Logger
}

/** `vfs_write+0x215/0xd50` or, of a module, `lkdtm_do_action+0x12/0x20 [lkdtm]`; some kernels have its build id beside that. */
const ENTRY = /([\w.$]+)\+0x([\da-f]+)\/0x([\da-f]+)(?: \[([\w-]+)(?: [\da-f]+)?\])?/g

/** Lines whose address is that of an instruction; all others have the one behind a call. */
const EXACT = /^(?:RIP: |p\w : |WARNING: )/

/**
 * What a kernel reported, with file and line behind each function of which they are known: `vfs_write+0x215/0xd50 (fs/read_write.c:582)`, of
 * inlined functions the innermost first. They are looked up in a box of the VM's image, which takes as long as that is being started.
 * @throws what keeps a box from running; the signal's reason
 */
export async function withPlaces(block: string, parts: SymbolsParts, signal: AbortSignal): Promise<string> {
  const entries = new Map<string, number>()
  const lines = block.split('\n')
  for (const line of lines) {
    for (const found of line.matchAll(ENTRY)) {
      const key = keyOf(found, line)
      if (!entries.has(key)) entries.set(key, entries.size + 1)
    }
  }
  if (entries.size === 0) return block
  const places = await locate([...entries.keys()], parts, signal)
  const place = (text: string, line: string, found: readonly string[]) => {
    const known = places.get(entries.get(keyOf(found, line)) ?? 0)
    return known === undefined ? text : `${text} (${known})`
  }
  return lines
    .map((line) => line.replace(ENTRY, (text, ...groups) => place(text, line, [text, ...groups.slice(0, 4)])))
    .join('\n')
}

/** As images/runner/locate takes it. */
function keyOf([, symbol, offset, size, module]: readonly (string | undefined)[], line: string): string {
  const object = module === undefined ? 'vmlinux' : module.replaceAll('-', '_')
  return [object, symbol, offset, size, EXACT.test(line) ? 0 : 1].join(':')
}

async function locate(
  entries: readonly string[],
  { host, image, entry, log }: SymbolsParts,
  signal: AbortSignal,
): Promise<ReadonlyMap<number, string>> {
  const command = [imagePaths.debugInfo, ...entries]
  await using box = await host.run({ image, entry, entrypoint: [imagePaths.locate], command }, { signal, log })
  // Memoised: what comes of it is heard above.
  const end = () => void box.stop().catch((thrown) => log.debug(reasonOf(thrown)))
  if (signal.aborted) end()
  signal.addEventListener('abort', end, { once: true })
  try {
    const places = new Map<number, string>()
    for await (const line of box.stdout) {
      const [, number, place] = /^(\d+) (.+)$/.exec(line) ?? []
      if (place !== undefined) places.set(Number(number), place)
    }
    const { exitCode } = await box.exited
    signal.throwIfAborted()
    if (exitCode !== 0) throw new Error(`looking them up ended with status ${exitCode}: ${box.stderr.tail(3)}`)
    return places
  } finally {
    signal.removeEventListener('abort', end)
  }
}

/** A module that a kernel has loaded. */
export interface LoadedModule {
  /** As `lsmod` has it. */
  readonly name: string
  /** Its file below `/lib/modules/RELEASE/`, as it is called where nothing compresses it; undefined for one that is not from there. */
  readonly file: string | undefined
  /** Where its sections are, by name; one is `.text`. */
  readonly sections: Readonly<Record<string, bigint>>
}

/** Where the symbols of a kernel that runs are. */
export interface LoadedSymbols {
  /** How far from where its vmlinux says KASLR has put the kernel, in bytes; undefined where the kernel does not say. */
  readonly kernelOffset: bigint | undefined
  /** By name. */
  readonly modules: readonly LoadedModule[]
}

/** Those that the kernel's own `lx-symbols` takes (scripts/gdb/linux/symbols.py). */
const SECTIONS = ['.text', '.text.hot', '.text.unlikely', '.data', '.data..read_mostly', '.rodata', '.bss']

/** A kernel has its VMCOREINFO at the beginning of its own memory as a core. */
const LOADED = `
head -c 65536 /proc/kcore | grep -a -o -m 1 'KERNELOFFSET=[0-9a-f]*'
cd /sys/module && grep -H 0x ${SECTIONS.map((section) => `*/sections/${section}`).join(' ')}
cd "/lib/modules/$(uname -r)" && find . -name '*.ko*'
true`

/** @throws as `execIn` */
export async function loadedSymbols(guest: CommandGuest): Promise<LoadedSymbols> {
  const { stdout } = await execIn(guest, LOADED)
  const [, offset] = /^KERNELOFFSET=([0-9a-f]{1,16})$/m.exec(stdout) ?? []
  const files = new Map<string, string>()
  for (const [, file = '', name = ''] of stdout.matchAll(/^\.\/((?:.*\/)?([^/]+)\.ko)(?:\.\w+)?$/gm))
    files.set(name.replaceAll('-', '_'), file)
  const sections = new Map<string, Record<string, bigint>>()
  for (const [, name = '', section = '', address = ''] of stdout.matchAll(
    /^(\w+)\/sections\/(\S+):(0x[0-9a-f]{1,16})$/gm,
  ))
    sections.set(name, { ...sections.get(name), [section]: BigInt(address) })
  return {
    kernelOffset: offset === undefined ? undefined : BigInt(`0x${offset}`),
    modules: [...sections]
      // A kernel that tells nobody says 0.
      .filter(([, { '.text': text = 0n }]) => text !== 0n)
      .map(([name, own]) => ({ name, file: files.get(name), sections: own }))
      .toSorted((one, other) => (one.name < other.name ? -1 : 1)),
  }
}
