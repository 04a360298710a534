import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parseKernelEntry } from './kernel-entry.ts'
import { kernelLabel, kernelText, parseKernelReference } from './kernel-reference.ts'
import { findHostKernel } from './local-kernel.ts'

const release = '6.1.0-50-cloud-amd64'
let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tk-kernel-files-'))
})
afterEach(() => rmSync(root, { recursive: true }))

function put(path: string, content: string | Buffer = ''): string {
  const absolute = join(root, path)
  mkdirSync(dirname(absolute), { recursive: true })
  writeFileSync(absolute, content)
  return absolute
}

/** As much of a bzImage as anybody reads. */
function bzImage(version: string): Buffer {
  const image = Buffer.alloc(0x4000)
  image.write('HdrS', 0x202)
  image.writeUInt16LE(0x3400, 0x20e)
  image.write(`${version} (somebody@somewhere) #1 SMP\0`, 0x3600)
  return image
}

/** As much of a vmlinux as anybody reads, with the banner where two chunks of the search meet. */
function vmlinux(version: string, machine: number): Buffer {
  const elf = Buffer.alloc(5 * 1024 * 1024)
  elf.write('\x7fELF', 'latin1')
  elf.writeUInt16LE(machine, 18)
  elf.write(`Linux version ${version} (somebody@somewhere)`, 4 * 1024 * 1024 - 20)
  return elf
}

test('takes a vmlinux as it takes an image', () => {
  const path = put('vmlinux', vmlinux(release, 62))
  expect(parseKernelReference(`file://${path}`)).toMatchObject({ arch: 'amd64', release, vmlinuz: path })
})

test.each(['gz', 'xz', 'zst', 'lz4', 'bz2', 'lzma'])(
  'of a vmlinux that a package has compressed as .%s, the name is believed until it is unpacked',
  (suffix) => {
    const path = put(`vmlinux-${release}.${suffix}`, 'compressed')
    const config = put(`config-${release}`)
    const modules = dirname(put(`lib/modules/${release}/modules.order`))
    expect(parseKernelReference(`file://${path}`)).toEqual({ kind: 'local', release, vmlinuz: path, config, modules })
  },
)

test('a vmlinux that is compressed and whose name has no version is refused', () => {
  const nameless = put('vmlinux.xz', 'compressed')
  expect(() => parseKernelReference(`file://${nameless}`)).toThrow('a name such as vmlinux-6.1.0.xz')
})

test('a vmlinux of a processor that no guest has is refused, and what is an ELF and no kernel', () => {
  const foreign = put('foreign', vmlinux(release, 183))
  expect(() => parseKernelReference(`file://${foreign}`)).toThrow('is no Linux kernel that can be booted')
  const program = put('program', vmlinux(release, 62).fill(0, 100))
  expect(() => parseKernelReference(`file://${program}`)).toThrow('is no Linux kernel that can be booted')
})

test('finds what belongs to a kernel beside it', () => {
  const vmlinuz = put('any-name', bzImage(release))
  const config = put('config')
  const systemMap = put(`System.map-${release}`)
  const modules = dirname(put('modules/modules.order'))
  expect(parseKernelReference(`file://${vmlinuz}`)).toEqual({
    kind: 'local',
    arch: 'amd64',
    release,
    vmlinuz,
    config,
    systemMap,
    modules,
  })
})

test('takes the config of its version before any other', () => {
  const vmlinuz = put('vmlinuz', bzImage(release))
  put('config')
  const config = put(`config-${release}`)
  expect(parseKernelReference({ vmlinuz })).toMatchObject({ config })
})

test.each([`modules/${release}`, `lib/modules/${release}`, `usr/lib/modules/${release}`, `../lib/modules/${release}`])(
  'finds modules in %s',
  (directory) => {
    const vmlinuz = put('boot/vmlinuz', bzImage(release))
    const modules = dirname(put(join('boot', directory, 'modules.dep')))
    expect(parseKernelReference(`file://${vmlinuz}`)).toMatchObject({ modules })
  },
)

test('finds a kernel whose files are all beside its modules', () => {
  const vmlinuz = put(`usr/lib/modules/${release}/vmlinuz`, bzImage(release))
  const modules = dirname(put(`usr/lib/modules/${release}/modules.order`))
  expect(findHostKernel('e', { root, release })).toEqual({ kind: 'local', arch: 'amd64', release, vmlinuz, modules })
})

test('leaves out what is not there, and takes no modules of another version', () => {
  const vmlinuz = put('vmlinuz', bzImage(release))
  put('lib/modules/6.1.0-49-cloud-amd64/modules.order')
  expect(parseKernelReference({ vmlinuz })).toEqual({ kind: 'local', arch: 'amd64', release, vmlinuz })
})

test('an object goes before what is found, and a directory of several versions is looked into', () => {
  const vmlinuz = put('vmlinuz', bzImage(release))
  put('config')
  const options = { vmlinuz, config: put('other'), initrd: put('initrd'), modules: join(root, 'all') }
  const modules = dirname(put(`all/${release}/modules.order`))
  expect(parseKernelReference(options)).toEqual({ ...options, kind: 'local', arch: 'amd64', release, modules })
})

test('follows a link to the kernel, and looks beside the link', () => {
  const vmlinuz = put('store/bzImage', bzImage(release))
  symlinkSync('store/bzImage', join(root, 'vmlinuz'))
  const config = put('config')
  expect(parseKernelReference(`file://${root}/vmlinuz`)).toMatchObject({ vmlinuz, config })
})

test.each([
  ['file://vmlinuz', 'write it as file:///path/vmlinuz'],
  ['file:///nowhere/vmlinuz', 'the kernel /nowhere/vmlinuz is not there'],
  [{ vmlinuz: '/etc' }, 'the kernel /etc is a directory'],
  [{ vmlinuz: '/etc/passwd' }, '/etc/passwd is no Linux kernel'],
  ['docker-image://', "unknown kernel 'docker-image://'"],
])('refuses %j', (kernel, message) => {
  expect(() => parseKernelReference(kernel, 'e')).toThrow(message)
})

test('refuses parts of a kernel that are not there', () => {
  const vmlinuz = put('vmlinuz', bzImage(release))
  for (const part of ['modules', 'config', 'systemMap', 'initrd'])
    expect(() => parseKernelReference({ vmlinuz, [part]: '/nowhere' })).toThrow('/nowhere')
})

test('a running kernel that is not on the disk is an error with the places that were looked at', () => {
  expect(() => findHostKernel('e', { root, release })).toThrow(
    `neither ${root}/boot/vmlinuz-${release} nor ${root}/usr/lib/modules/${release}/vmlinuz nor`,
  )
})

test('an entry takes the object, and messages name the file', () => {
  const vmlinuz = put('vmlinuz', bzImage(release))
  const entry = parseKernelEntry('mine', { kernel: { vmlinuz } })
  expect(kernelText(entry.kernel)).toBe(vmlinuz)
  expect(kernelLabel(entry.reference)).toBe(release)
  expect(() => parseKernelEntry('mine', { kernel: { vmlinuz, modul: 'x' } })).toThrow(
    "mine: unknown option 'kernel.modul'",
  )
})
