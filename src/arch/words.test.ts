// What is of one architecture alone has its place: src/arch, and the folders of images/ that are named after one.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { architectures } from './index.ts'

const root = join(import.meta.dirname, '../..')

/** Words that are true on some machines only: of processors, of QEMU's machines and consoles, of kernels and their images. */
const WORDS = [
  ...[
    'amd64',
    'x86',
    'x86_64',
    'x86-64',
    'i386',
    'intel',
    'amd',
    'arm64',
    'aarch64',
    'arm',
    'armv8',
    'riscv',
    'riscv64',
  ],
  ...['tsc', 'tsckhz', 'tsc_khz', 'tsc_early_khz', 'rdtsc', 'hpet', 'la57', 'cmos', 'cpuid'],
  ...['kvm_amd', 'kvm_intel', 'svm', 'vmx', 'pvh'],
  ...['microvm', 'q35', 'pc', 'isapc', 'qboot', 'seabios', 'ttys0', 'ttyama0', 'pl011', '8250'],
  ...['bzimage', 'hdrs', 'zboot'],
]

function filesIn(folder: string): string[] {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1))
}

/** `microvm` of `-M microvm,acpi=on`, and `x86_64` of `qemu-system-x86_64`; numbers and names run together are one word. */
function wordsIn(text: string): Set<string> {
  const whole = text.toLowerCase().match(/[a-z0-9_]+/g) ?? []
  const parts = whole.flatMap((word) => word.split('_'))
  return new Set([...whole, ...parts])
}

function strays(files: readonly string[]): string[] {
  return files.flatMap((file) => {
    const words = wordsIn(readFileSync(join(root, file), 'utf8'))
    return WORDS.filter((word) => words.has(word)).map((word) => `${file}: ${word}`)
  })
}

test('src names no architecture outside of src/arch', () => {
  const own = filesIn('src').filter(
    (file) => !file.startsWith('src/arch/') && !/\.test\.ts$|\/testing\/|\/gen\//.test(file),
  )
  expect(own.length).toBeGreaterThan(200)
  expect(strays(own)).toEqual([])
})

test('images/ names no architecture outside of the folders that are named after one', () => {
  const folders = architectures.map(({ name }) => `/${name}/`)
  const common = filesIn('images').filter((file) => !folders.some((folder) => file.includes(folder)))
  expect(common.length).toBeGreaterThan(30)
  expect(strays(common)).toEqual([])
})

test('the words are found where they stand', () => {
  const found = strays(['src/arch/amd64.ts'])
  expect(found).toContain('src/arch/amd64.ts: x86_64')
  expect(found).toContain('src/arch/amd64.ts: microvm')
  expect(found).toContain('src/arch/amd64.ts: hdrs')
})
