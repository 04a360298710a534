import { type Command, InvalidArgumentError, Option } from 'commander'
import { type GuestInit, parseForward, parseMount, progressKinds } from '../options/index.ts'

/** What is started where no kernel is named. */
export const DEFAULT_KERNEL = 'debian:trixie'

export const kernelOption = () =>
  new Option('--kernel <reference>', 'kernel of the guest, such as debian:bookworm or source:debian/trixie').default(
    DEFAULT_KERNEL,
  )

export const configOption = () =>
  repeatable(
    '--config <fragment>',
    'for a kernel from source: cgroup-v1, kasan, debug, debug-info, kmemleak, btf or a file',
  )

export const rootfsOption = () =>
  new Option('--rootfs <reference>', 'root file system: debian:SUITE, docker-image://REF, dockerfile:PATH, file://PATH')

export const machineOption = () =>
  new Option('--machine <kind>', "where the guest's devices are: auto (by the kernel's config), mmio or pci")

export const initOption = () =>
  new Option(
    '--init <command>',
    'PID 1 of the guest: systemd of the rootfs; or a command in place of dockerd: words, or a JSON array (default: ours, and dockerd)',
  ).argParser(init)

export const progressOption = () =>
  new Option('--progress <kind>', 'how builds are shown; auto is tty on a terminal, else plain').choices(progressKinds)

export const templateOption = () =>
  new Option('--no-template', 'boot cold, where a saved VM would start in a fraction of a second')

/** Of an entry, less its kernel. */
export function entryOptions(): readonly Option[] {
  return [
    configOption(),
    rootfsOption(),
    initOption(),
    new Option('--cgroup <version>', 'cgroup version of the guest, 1 or 2').argParser(wholeNumber).default(2),
    new Option('--controllers <which>', 'cgroup controllers that the kernel must have: all or partial'),
    repeatable('--kernel-argument <argument>', "argument of the guest's kernel, such as panic_on_warn=1"),
    repeatable('--module <name>', 'module of its kernel, loaded at boot'),
    new Option('--sysctl <key=value>', 'set at boot, such as net.ipv4.ip_forward=1; may be repeated').argParser(
      assignment,
    ),
    new Option('--daemon <json>', "keys of the guest's daemon.json, such as '{\"live-restore\": true}'").argParser(
      jsonObject,
    ),
    new Option(
      '--egress <where>',
      'what the guest may reach: all, none, or HOST, CIDR, :PORT; may be repeated',
    ).argParser(egress),
    new Option('--network <name>', 'network on which it and other VMs that name it reach each other by name'),
    repeatable('--forward <[name=][host:]guest>', 'socket or port of the guest to have on this machine'),
    repeatable('--host-port <port>', 'port of this machine that the guest reaches at host.testkernels.internal'),
    repeatable('--mount <host:guest[:ro|rw]>', 'directory of this machine to have in the guest, read-only without rw'),
    new Option('--memory-mib <mib>', 'memory of the guest in MiB').argParser(wholeNumber),
    new Option('--cpus <number>', 'virtual CPUs').argParser(wholeNumber),
    new Option('--scratch-mib <mib>', "size of the guest's writable disk in MiB").argParser(wholeNumber),
    machineOption(),
    new Option('--accelerator <kind>', 'auto, kvm or tcg (software emulation)'),
    new Option('--boot-timeout-ms <ms>', "longest wait for the guest's dockerd in milliseconds").argParser(wholeNumber),
  ]
}

export function withEntryOptions(command: Command): Command {
  return entryOptions().reduce((all, option) => all.addOption(option), command)
}

/**
 * The values of `entryOptions` and of `--no-template`, as an entry takes them. They are still to be checked.
 * @throws InvalidOptionError for a forward or a mount that is none
 */
export function optionsOfEntry(values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { kernelArgument, module, sysctl, forward, hostPort, mount, ...rest } = values
  const forwards = (forward as readonly string[]).map(parseForward)
  const hostPorts = (hostPort as readonly string[]).map(Number)
  const mounts = (mount as readonly string[]).map(parseMount)
  return { ...rest, kernelArguments: kernelArgument, modules: module, sysctls: sysctl, forwards, hostPorts, mounts }
}

export function repeatable(flags: string, description: string): Option {
  return new Option(flags, `${description}; may be repeated`).argParser(repeated).default([], 'none')
}

function repeated(value: string, former: readonly string[] | undefined): readonly string[] {
  return [...(former ?? []), value]
}

function assignment(text: string, former: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('must be KEY=VALUE.')
  return { ...former, [text.slice(0, at)]: text.slice(at + 1) }
}

function egress(value: string, former?: string | readonly string[]): string | readonly string[] {
  return ['all', 'none'].includes(value) ? value : repeated(value, [former ?? []].flat())
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('must be a whole number.')
  return Number(text)
}

export function positiveNumber(text: string): number {
  if (wholeNumber(text) < 1) throw new InvalidArgumentError('must be 1 or more.')
  return Number(text)
}

/** `systemd`; `sleep infinity`, or `["sleep", "infinity"]` for words with blanks in them. */
function init(text: string): GuestInit {
  if (text === 'systemd' || text === 'testkernels') return text
  if (!text.trimStart().startsWith('[')) return text.trim().split(/\s+/)
  const parsed = fromJson(text)
  if (Array.isArray(parsed) && parsed.every((word) => typeof word === 'string')) return parsed
  throw new InvalidArgumentError('must be words, or a JSON array of strings.')
}

function jsonObject(text: string): object {
  const parsed = fromJson(text)
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed
  throw new InvalidArgumentError('must be a JSON object.')
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The first is the default. */
export function choice(flags: string, description: string, choices: readonly [string, ...string[]]): Option {
  return new Option(flags, description).choices(choices).default(choices[0])
}
