// Templates that are not what was saved.
import { KernelVm, type Logger } from 'testkernels'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TemplateVolume } from '../../support/templates.ts'

const lines: string[] = []
const log: Logger = { info: keep, warn: (line) => keep(`warning: ${line}`), debug: () => {}, named: () => log }
function keep(line: string): void {
  lines.push(line)
}

const kernel = new KernelVm({ name: 'mended', kernel: 'debian:bookworm', memoryMib: 512 })
let volume: TemplateVolume

async function startAndStop(): Promise<readonly string[]> {
  lines.length = 0
  const vm = await kernel.start({ log })
  expect((await vm.exec(['true'])).exitCode).toBe(0)
  await vm.stop()
  return vm.steps.map(({ name }) => name)
}

beforeAll(async () => {
  volume = await TemplateVolume.create()
  await startAndStop()
})

afterAll(() => volume[Symbol.asyncDispose]())

/** Succeeds when the template is found to be no good, with the reason; and puts back what the script took. */
async function reasonAfter(script: string): Promise<string> {
  return await volume.shell(`
    key=$(ls)
    cp -a --sparse=always "$key" /tmp/kept
    cd "$key"; ${script}; cd ..
    status=0
    /testkernels/template check "$key" 2>/tmp/said || status=$?
    cat /tmp/said
    rm -rf "$key"; mv /tmp/kept "$key"
    [ $status = 79 ]`)
}

/** Changes one byte; a file of zeros would not notice a zero. */
const flip = (file: string, at: string) => `printf '\\252' | dd of=${file} bs=1 seek=${at} conv=notrunc status=none`

describe('is found out', () => {
  test.each(['mem.img', 'state.bin', 'scratch.img'])('a flipped byte in %s', async (file) => {
    // Where something was written: a file's first piece of data that is not its head.
    const reason = await reasonAfter(flip(file, '8200'))
    expect(reason).toBe(`testkernels: template: damaged: ${file} is not what was saved`)
  })

  test('a file that is cut short', async () => {
    expect(await reasonAfter('truncate -s -1 state.bin')).toMatch(/damaged: state\.bin is not what was saved$/)
  })

  test('a file that is missing', async () => {
    expect(await reasonAfter('rm mem.img')).toMatch(/damaged: mem\.img is missing$/)
  })

  test('checksums that are missing, or cut short', async () => {
    expect(await reasonAfter('rm sums')).toMatch(/damaged: it is incomplete$/)
    expect(await reasonAfter("sed -i '$d' sums")).toMatch(/damaged: scratch\.img is not what was saved$/)
  })

  test('files that were copied, with other holes, are read once more, and are right', async () => {
    const copied = 'cp -a --sparse=always $key/scratch.img copy; mv copy $key/scratch.img; touch $key/mem.img'
    const inode = 'stat -c %i $key/scratch.img'
    const seen = await volume.shell(
      `key=$(ls); ${copied}; /testkernels/template check $key; ${inode}; cat ../marks/$key.seen`,
    )
    const [number, ...lines] = seen.split('\n')
    expect(lines.join('\n')).toContain(`scratch.img ${number} `)
  })
})

test('a damaged template is made anew, with a warning that says what was wrong', async () => {
  await volume.shell(`cd *; ${flip('state.bin', '1000')}`)
  expect(await startAndStop()).toContain('template')
  expect(lines).toContain('warning: mended: its template is damaged: state.bin is not what was saved; it is made anew')
  expect(await startAndStop()).not.toContain('template')
  expect(lines.filter((line) => line.startsWith('warning'))).toEqual([])
})

test('one that looks whole, of a QEMU whose state this one cannot read, is made anew as well', async () => {
  // As another version would have written it: whole by its checksums, and with a section that nobody knows.
  await volume.shell(`
    key=$(ls)
    sed -i 's/serial/sorial/' "$key/state.bin"
    mv "$key"/* ../making
    /testkernels/template seal "$key" ".$key.other"`)
  expect(await startAndStop()).toContain('template')
  expect(lines.join('\n')).toMatch(
    /^warning: mended: QEMU could not restore its template \(status 1\); it is made anew$/m,
  )
  expect(await startAndStop()).not.toContain('template')
})
