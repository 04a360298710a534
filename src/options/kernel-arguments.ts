import { architectures } from '../arch/index.ts'
import { InvalidOptionError } from './errors.ts'

/** What an entry has its guest's kernel told; all of it is on the kernel's command line. */
export interface KernelSettingsOptions {
  /**
   * More arguments of the guest's kernel, such as `lsm=landlock,yama,bpf`, `lockdown=integrity` or `panic_on_warn=1`, one each; a value
   * with blanks as it is, without quotation marks. Those that testkernels needs itself are refused by name. @default none
   */
  readonly kernelArguments?: readonly string[]
  /** Modules of its kernel that are loaded at boot, after its root is there. One that it has not ends the start. @default none */
  readonly modules?: readonly string[]
  /**
   * Set at boot, after those modules are loaded and the rootfs's own sysctl.d is read: `{ 'net.ipv4.ip_forward': '1' }`. One that the
   * kernel has not, or a value that it refuses, ends the start. @default none
   */
  readonly sysctls?: Readonly<Record<string, string>>
}

export type KernelSettings = Required<KernelSettingsOptions>

/** What is ours to say, and why. The kernel takes `-` and `_` in names for the same. */
const RESERVED: ReadonlyMap<string, string> = new Map([
  ...reasonFor("the guest's console is how its end is explained", ['console']),
  ...reasonFor('it is how the end of a guest is noticed', ['panic', 'reboot']),
  ...reasonFor("the kernel's log is read for its reports", ['log_buf_len']),
  ...reasonFor("the guest's devices are found by it", ['acpi']),
  ...reasonFor("the guest's network is set up by its init", ['ip']),
  ...reasonFor("the option 'cgroup' sees to it", [
    ...['cgroup_enable', 'swapaccount', 'systemd.unified_cgroup_hierarchy'],
    ...['systemd.legacy_systemd_cgroup_controller', 'SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE'],
  ]),
  ...reasonFor("the option 'rootfs' says what is the root, and 'init' what runs in it", [
    ...['root', 'rootfstype', 'rootflags', 'rootwait', 'ro', 'rw', 'init', 'rdinit', 'initrd', 'noinitrd', '--'],
  ]),
  ...architectures.flatMap(({ qemu, emulatedCpu }) => [
    ...reasonFor('the machine needs it', qemu.kernelArguments.map(nameOf)),
    ...reasonFor("the guest's clock needs it", emulatedCpu.kernelArguments(0).map(nameOf)),
  ]),
])

/** Entries of a table of what is not the user's to give: one reason for several names. */
export function reasonFor(why: string, names: readonly string[]): readonly (readonly [string, string])[] {
  return names.map((name) => [name, why])
}

/** Settings that end or mislead what watches the guest. */
const RESERVED_SYSCTLS = ['kernel.panic']

const PRINTABLE = /^[\x20-\x7e]*$/
const MODULE = /^[A-Za-z0-9][\w-]*$/
const SYSCTL = /^\w[\w-]*(?:[./][\w@:-]+)+$/
/** The kernel cuts its command line, without a word, at some 2,000 characters on every architecture; the rest of it is ours. */
const MAX_CHARACTERS = 1_024

/** @throws InvalidOptionError for what cannot be said, or is ours to say */
export function checkKernelSettings(settings: KernelSettings, entry?: string): void {
  const refuse = (what: string, remedy: string): never => {
    throw new InvalidOptionError({ what, remedy, entry })
  }
  for (const argument of settings.kernelArguments) checkArgument(argument, refuse)
  for (const name of settings.modules) {
    if (!MODULE.test(name))
      refuse(
        `'${name}' in the option 'modules' is no name of a module`,
        "write a name as modprobe takes it, such as 'dummy', and its parameters as kernelArguments: ['dummy.numdummies=2']",
      )
  }
  for (const [key, value] of Object.entries(settings.sysctls)) checkSysctl(key, value, refuse)
  const { length } = kernelWords(settings).join(' ')
  if (length > MAX_CHARACTERS)
    refuse(
      `the options 'kernelArguments', 'modules' and 'sysctls' are ${length} characters on the kernel's command line, which has room for ${MAX_CHARACTERS}`,
      'leave some out, or put sysctls into /etc/sysctl.d of the rootfs',
    )
}

type Refuse = (what: string, remedy: string) => never

function checkArgument(argument: string, refuse: Refuse): void {
  const shown = JSON.stringify(argument)
  if (argument === '') refuse("the option 'kernelArguments' has an empty argument", 'leave it out')
  if (!PRINTABLE.test(argument))
    refuse(
      `the kernel argument ${shown} has a line break or another character that a kernel's command line cannot have`,
      'write it in printable ASCII',
    )
  if (argument.includes('"'))
    refuse(
      `the kernel argument ${shown} has a quotation mark, which a kernel's command line cannot have in a value`,
      'leave it out: a value with blanks is quoted by testkernels',
    )
  const name = nameOf(argument)
  if (name.includes(' '))
    refuse(
      `the kernel argument ${shown} has a blank in its name`,
      "write each argument by itself: ['NAME=VALUE', 'NAME']",
    )
  if (argument.includes('testkernels.'))
    refuse(
      `the kernel argument ${shown} is not yours to give: 'testkernels.' is how the guest's own init is told`,
      'leave it out',
    )
  if (/^sysctl[./]/.test(name))
    refuse(`the kernel argument ${shown} sets a sysctl`, "write it into the option 'sysctls', which checks it")
  const why = RESERVED.get(name)
  if (why !== undefined)
    refuse(
      `the kernel argument ${shown} is not yours to give: testkernels needs '${name}' itself, because ${why}`,
      'leave it out',
    )
}

function checkSysctl(key: string, value: string, refuse: Refuse): void {
  if (!SYSCTL.test(key))
    refuse(`'${key}' in the option 'sysctls' is no name of a sysctl`, "write it as sysctl does: 'net.ipv4.ip_forward'")
  if (RESERVED_SYSCTLS.includes(sysctlPath(key).replaceAll('/', '.')))
    refuse(`the sysctl '${key}' is not yours to set: testkernels needs it to notice the end of a guest`, 'leave it out')
  if (value === '' || !PRINTABLE.test(value.replaceAll('\t', ' ')))
    refuse(
      `the value ${JSON.stringify(value)} of the sysctl '${key}' is empty, or is not one line of printable ASCII`,
      'correct it',
    )
}

/** `panic_on_warn` of `panic-on-warn=1`. */
function nameOf(argument: string): string {
  const [name = ''] = argument.split('=', 1)
  return name === '--' ? name : name.replaceAll('-', '_')
}

/**
 * The words on the kernel's command line: arguments for itself, and what images/guest/init reads of it. A value with blanks is in
 * quotation marks, which are the kernel's only way.
 */
export function kernelWords({ kernelArguments, modules, sysctls }: KernelSettings): readonly string[] {
  return [
    ...kernelArguments.map((argument) => argument.replace(/^([^=]*)=(.* .*)$/, '$1="$2"')),
    ...modules.map((name) => `testkernels.module=${name}`),
    ...Object.entries(sysctls).map(([key, value]) => `testkernels.sysctl=${sysctlPath(key)}=${escaped(value)}`),
  ]
}

/** Below /proc/sys. As sysctl(8) has it: whichever of dot and slash comes first separates, and the other is part of a name. */
function sysctlPath(key: string): string {
  if (/^[^.]*\//.test(key)) return key
  return key.replace(/[./]/g, (separator) => (separator === '.' ? '/' : '.'))
}

/** As `printf %b` reads it: init takes the command line apart at blanks. */
function escaped(value: string): string {
  return value.replace(/[^\w.,:/=+@-]/g, (character) => `\\0${character.charCodeAt(0).toString(8).padStart(3, '0')}`)
}
