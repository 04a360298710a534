import { expect, test } from 'vitest'
import { amd64 } from '../arch/amd64.ts'
import { kernelWords } from './kernel-arguments.ts'
import { parseKernelEntry } from './kernel-entry.ts'

const kernel = 'debian:trixie'
const entry = (options: object) => parseKernelEntry('v2', { kernel, ...options })
const words = (options: object) => kernelWords(entry(options))

test('an entry that says nothing of it tells its kernel nothing', () => {
  expect(entry({})).toMatchObject({ kernelArguments: [], modules: [], sysctls: {} })
  expect(words({})).toEqual([])
})

test('arguments are given as they are, in their order', () => {
  const kernelArguments = ['lsm=landlock,yama,bpf', 'lockdown=integrity', 'panic_on_warn=1', 'nosmt']
  expect(words({ kernelArguments })).toEqual(kernelArguments)
})

test('a value with blanks is quoted, because blanks end an argument', () => {
  expect(words({ kernelArguments: ['dyndbg=file svc.c +p'] })).toEqual(['dyndbg="file svc.c +p"'])
})

test.each([
  ['', 'an empty argument'],
  ['quiet\npanic=0', '"quiet\\npanic=0" has a line break'],
  ['foo=\u2028', 'has a line break or another character'],
  ['dyndbg="module overlay +p"', 'has a quotation mark'],
  ['quiet splash', '"quiet splash" has a blank in its name'],
  ['panic=0', "testkernels needs 'panic' itself, because it is how the end of a guest is noticed"],
  ['console=tty0', "testkernels needs 'console' itself"],
  ['testkernels.cgroup=1', "is how the guest's own init is told"],
  ['dyndbg=a testkernels.sysctl=kernel/panic=0 b', "is how the guest's own init is told"],
  ['sysctl.kernel.panic=0', 'sets a sysctl'],
  ['sysctl/kernel/panic=0', 'sets a sysctl'],
  ['cgroup-enable=memory', "testkernels needs 'cgroup_enable' itself, because the option 'cgroup' sees to it"],
  ['--', "testkernels needs '--' itself"],
])('refuses the argument %j', (argument, message) => {
  expect(() => entry({ kernelArguments: ['nosmt', argument] })).toThrow(message)
})

test.each([...amd64.qemu.kernelArguments, ...amd64.emulatedCpu.kernelArguments(1)])(
  'refuses %s, which the machine needs',
  (argument) => {
    expect(() => entry({ kernelArguments: [argument] })).toThrow(`v2: the kernel argument "${argument}" is not yours`)
  },
)

test('takes names that only begin like one of ours', () => {
  const kernelArguments = ['panic_on_warn=1', 'panic_print=1', 'rootdelay=1', 'initcall_debug', 'oops=panic']
  expect(words({ kernelArguments })).toEqual(kernelArguments)
})

test('init is told of modules, and of sysctls by their files, with values that it can take apart', () => {
  const sysctls = {
    'net.ipv4.ip_forward': '1',
    'net/ipv4/conf/eth0.1/rp_filter': '2',
    'net.ipv4.conf.eth0/1.rp_filter': '2',
    'net.ipv4.ip_local_port_range': '1024\t65000',
    'kernel.core_pattern': '|/bin/core "%p"',
  }
  expect(words({ modules: ['dummy', 'br_netfilter'], sysctls })).toEqual([
    'testkernels.module=dummy',
    'testkernels.module=br_netfilter',
    'testkernels.sysctl=net/ipv4/ip_forward=1',
    'testkernels.sysctl=net/ipv4/conf/eth0.1/rp_filter=2',
    'testkernels.sysctl=net/ipv4/conf/eth0.1/rp_filter=2',
    String.raw`testkernels.sysctl=net/ipv4/ip_local_port_range=1024\001165000`,
    String.raw`testkernels.sysctl=kernel/core_pattern=\0174/bin/core\0040\0042\0045p\0042`,
  ])
})

test.each([
  [{ modules: ['dummy numdummies=2'] }, "'dummy numdummies=2' in the option 'modules' is no name of a module"],
  [{ modules: ['../dummy'] }, 'is no name of a module'],
  [{ sysctls: { ip_forward: '1' } }, "'ip_forward' in the option 'sysctls' is no name of a sysctl"],
  [{ sysctls: { 'net/../../x': '1' } }, 'is no name of a sysctl'],
  [{ sysctls: { 'kernel.hostname': '' } }, 'the value "" of the sysctl \'kernel.hostname\' is empty'],
  [{ sysctls: { 'kernel.domainname': 'a\nb' } }, 'is not one line of printable ASCII'],
  [{ sysctls: { 'kernel/panic': '0' } }, "the sysctl 'kernel/panic' is not yours to set"],
  [{ sysctls: { 'net.ipv4.ip_forward': 1 } }, "option 'sysctls.net.ipv4.ip_forward' must be string, got 1"],
  [{ kernelArguments: 'quiet' }, "option 'kernelArguments' must be Array"],
])('refuses %j', (options, message) => {
  expect(() => entry(options)).toThrow(message)
})

test('refuses more than the command line has room for, where the kernel would cut it in silence', () => {
  const kernelArguments = Array.from({ length: 40 }, (_, at) => `module${at}.parameter=${'x'.repeat(20)}`)
  expect(() => entry({ kernelArguments })).toThrow(/are 1\d{3} characters on the kernel's command line/)
})
