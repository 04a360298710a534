// What images/kernel/*.awk tell of a configuration, as the build step runs them.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

const script = (name: string) => fileURLToPath(new URL(`../../../../images/kernel/${name}`, import.meta.url))
let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'testkernels-config-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

function write(path: string, content: string): string {
  mkdirSync(join(directory, path, '..'), { recursive: true })
  writeFileSync(join(directory, path), content)
  return join(directory, path)
}

function awk(...args: string[]) {
  const { status, stdout, stderr } = spawnSync('awk', args, { encoding: 'utf8' })
  return { status, stdout, told: stderr.split('\n').filter(Boolean) }
}

/** Fragments by `ORDER-KIND/NAME`. */
function merge(fragments: Record<string, string>) {
  const files = Object.entries(fragments).map(([path, content]) => write(path, content))
  return awk('-v', `wanted=${join(directory, 'wanted')}`, '-f', script('merge-config.awk'), ...files)
}

const kconfig = [
  'config VETH',
  'config KASAN',
  '\tdepends on HAVE_KASAN',
  '\tdepends on SLUB',
  'menuconfig NET',
  'config LOG_BUF_SHIFT',
].join('\n')

function check(fragments: Record<string, string>, became: string) {
  expect(merge(fragments).status).toBe(0)
  const files = [write('kconfig', kconfig), join(directory, 'wanted'), write('.config', became)]
  return awk('-f', script('check-config.awk'), ...files)
}

test('the last fragment has the last word, and who overrides whom is told', () => {
  const { status, stdout, told } = merge({
    '000-ready/base.config': '# a comment\nCONFIG_VETH=y\nCONFIG_DUMMY=m\n\nCONFIG_CMDLINE="a=b # c"\n',
    '001-given/my.config': 'CONFIG_DUMMY=y\r\n# CONFIG_VETH is not set\n',
  })
  expect(status).toBe(0)
  expect(stdout).toBe('# CONFIG_VETH is not set\nCONFIG_DUMMY=y\nCONFIG_CMDLINE="a=b # c"\n')
  expect(told).toEqual([
    'notice: my.config sets CONFIG_DUMMY=y, overriding base.config (CONFIG_DUMMY=m)',
    'notice: my.config sets CONFIG_VETH=n, overriding base.config (CONFIG_VETH=y)',
  ])
  expect(readFileSync(join(directory, 'wanted'), 'utf8')).toContain('CONFIG_VETH\tn\tmy.config\tgiven\n')
})

test('to ask for the same twice, or for n in either way, is no override', () => {
  const { told } = merge({
    '000-ready/base.config': 'CONFIG_A=y\n# CONFIG_B is not set\n',
    '001-given/my.config': 'CONFIG_A=y\nCONFIG_B=n\n',
  })
  expect(told).toEqual([])
})

test('a line that is no option is an error with its file and number', () => {
  const { status, told } = merge({ '000-given/my.config': '# fine\nKASAN=y\nCONFIG_X\n' })
  expect(status).toBe(1)
  expect(told).toEqual([
    'error: my.config, line 2: not an option such as CONFIG_KASAN=y: KASAN=y',
    'error: my.config, line 3: not an option such as CONFIG_KASAN=y: CONFIG_X',
  ])
})

test('a configuration that is what was asked for is no news', () => {
  const asked = 'CONFIG_VETH=y\n# CONFIG_KASAN is not set\nCONFIG_LOG_BUF_SHIFT=17\n'
  expect(check({ '000-given/my.config': asked }, 'CONFIG_VETH=y\nCONFIG_LOG_BUF_SHIFT=17\n')).toEqual({
    status: 0,
    stdout: '',
    told: [],
  })
})

test('a dropped option is an error: which one, whose, what it became, what it depends on', () => {
  const { status, told } = check({ '000-given/my.config': 'CONFIG_KASAN=y\n' }, '# CONFIG_KASAN is not set\n')
  expect(status).toBe(1)
  expect(told).toEqual([
    'error: my.config asks for CONFIG_KASAN=y, but it became CONFIG_KASAN=n (it depends on HAVE_KASAN && SLUB)',
  ])
})

test('another value, one that cannot be turned off, and one that nobody knows are errors too', () => {
  const asked = 'CONFIG_LOG_BUF_SHIFT=99\n# CONFIG_NET is not set\nCONFIG_TYPO=y\n# CONFIG_OTHER_TYPO is not set\n'
  expect(check({ '000-given/my.config': asked }, 'CONFIG_LOG_BUF_SHIFT=25\nCONFIG_NET=y\n').told).toEqual([
    'error: my.config asks for CONFIG_LOG_BUF_SHIFT=99, but it became CONFIG_LOG_BUF_SHIFT=25',
    'error: my.config asks for CONFIG_NET=n, but it became CONFIG_NET=y (other options need it)',
    'error: my.config asks for CONFIG_TYPO=y, which this kernel does not have',
  ])
})

test('base.config only tells, because the user may have turned off what it needs', () => {
  const { status, told } = check({ '000-ready/base.config': 'CONFIG_VETH=y\n' }, '')
  expect(status).toBe(0)
  expect(told).toEqual(['notice: base.config asks for CONFIG_VETH=y, but it became CONFIG_VETH=n'])
})

test('a file of the user that is named base.config is held to what it says', () => {
  expect(check({ '000-given/base.config': 'CONFIG_VETH=y\n' }, '').status).toBe(1)
})

test('a ready-made fragment may ask for what this version does not know, and for nothing else in vain', () => {
  expect(check({ '000-ready/cgroup-v1.config': 'CONFIG_MEMCG_V1=y\n' }, '')).toMatchObject({ status: 0, told: [] })
  expect(check({ '000-ready/kasan.config': 'CONFIG_KASAN=y\n' }, '').status).toBe(1)
})

test('a module that became built in is told, and serves', () => {
  const { status, told } = check({ '000-given/my.config': 'CONFIG_VETH=m\n' }, 'CONFIG_VETH=y\n')
  expect(status).toBe(0)
  expect(told).toEqual(['notice: my.config asks for CONFIG_VETH=m, but it became CONFIG_VETH=y'])
})
