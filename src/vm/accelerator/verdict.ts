import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as v from 'valibot'
import type { Architecture } from '../../arch/index.ts'
import { replaceFile } from '../../files/index.ts'

/** What the probe found out about the engine's machine. */
export interface AcceleratorVerdict {
  readonly kvm: 'works' | 'fails'
  /** Why KVM is not used, as what follows "because"; for people. Empty when it works. */
  readonly reason: string
  /** What would make it work, as what follows "or"; for people. Empty when it works. */
  readonly remedy: string
  /** Rate of the counter that an emulated clock runs by, in kHz. */
  readonly counterKhz: number
  /** What it holds for: every image on this machine, or the one that was probed with. */
  readonly about: VerdictScope
  /** The last lines of a guest that did not arrive. */
  readonly output?: string | undefined
}

export type VerdictScope = 'machine' | 'image'

/** The rule is the one of docs/ci/github-actions.yml. */
const GRANT =
  'grant it with a rule of udev on the engine\'s machine: `echo \'KERNEL=="kvm", GROUP="kvm", MODE="0666", OPTIONS+="static_node=kvm"\' | sudo tee /etc/udev/rules.d/99-kvm4all.rules && sudo udevadm control --reload-rules && sudo udevadm trigger --name-match=kvm`'
const NESTED =
  "give the engine's machine a working /dev/kvm: where it is a virtual machine itself, by nested virtualisation of the hypervisor that runs it"

const RESTART =
  "see what the kernel of the engine's machine says of it (`sudo dmesg`), update that kernel, and restart the machine"

export function loadDriver({ kvmModules }: Pick<Architecture, 'kvmModules'>): string {
  return `load the driver of KVM on the engine's machine (\`sudo modprobe ${kvmModules.join('` or `sudo modprobe ')}\`), with virtualisation enabled in its firmware`
}

export interface FailedProbe {
  readonly arch: Architecture
  /** `never`: its QEMU could not be killed. */
  readonly ended: 'by itself' | 'at the deadline' | 'never'
  /** The last line of QEMU's errors. */
  readonly said: string
  readonly deadlineMs: number
}

/**
 * Why no guest ran with KVM, as what follows "because", with QEMU's own words in parentheses; and for what that holds. What QEMU cannot
 * set up, it can set up for no guest of this machine. A guest that began to run and did not arrive may have had a bad kernel.
 */
export function describeKvmFailure(probe: FailedProbe): Pick<AcceleratorVerdict, 'reason' | 'remedy' | 'about'> {
  const { arch, ended, said, deadlineMs } = probe
  const quoted = said === '' ? '' : ` (${said.replace(/^qemu-system: /, '')})`
  if (ended === 'never') {
    const reason = `this machine's /dev/kvm hangs: QEMU, which has opened it, cannot even be killed${quoted}`
    return { reason, remedy: RESTART, about: 'machine' }
  }
  if (ended === 'at the deadline') {
    const reason = `/dev/kvm opens, but a guest that ran with it did not reach user space in ${deadlineMs / 1000} s${quoted}`
    return { reason, remedy: NESTED, about: 'image' }
  }
  if (/permission denied/i.test(said)) {
    return { reason: `QEMU may not open this machine's /dev/kvm${quoted}`, remedy: GRANT, about: 'machine' }
  }
  if (/could not access kvm kernel module/i.test(said)) {
    return {
      reason: `this machine's /dev/kvm has no driver behind it${quoted}`,
      remedy: loadDriver(arch),
      about: 'machine',
    }
  }
  if (/assertion .* failed/i.test(said)) {
    const reason = `QEMU aborts when it sets up a guest on this machine's /dev/kvm${quoted}`
    return { reason, remedy: NESTED, about: 'machine' }
  }
  return {
    reason: `a guest with this machine's /dev/kvm ended before user space${quoted}`,
    remedy: NESTED,
    about: 'image',
  }
}

const schema = v.object({
  kvm: v.picklist(['works', 'fails']),
  reason: v.string(),
  remedy: v.string(),
  counterKhz: v.pipe(v.number(), v.minValue(1)),
  about: v.picklist(['machine', 'image']),
  output: v.optional(v.string()),
})

/** The file that remembers the verdict for all that `key` names. */
export function verdictFile(cacheDirectory: string, key: readonly string[]): string {
  const digest = createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 16)
  return join(cacheDirectory, 'accelerator', `${digest}.json`)
}

/** @returns undefined where nothing is remembered, or nothing that can be read */
export async function recallVerdict(file: string): Promise<AcceleratorVerdict | undefined> {
  try {
    const parsed = v.safeParse(schema, JSON.parse(await readFile(file, 'utf8')))
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}

export async function rememberVerdict(file: string, verdict: AcceleratorVerdict): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await replaceFile(file, `${JSON.stringify(verdict)}\n`)
}
