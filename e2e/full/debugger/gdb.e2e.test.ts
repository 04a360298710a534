// gdb on a guest's kernel: its words, spoken over the socket, because a machine need not have gdb.
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { KernelVm } from 'testkernels'
import { expect, test } from 'vitest'
import { testkernels } from '../../support/run.ts'

const kernel = new KernelVm({ kernel: 'debian:bookworm' }).withName('debugged')

/** A session of gdb's remote protocol (its manual, "Packets"). */
class Gdb implements Disposable {
  readonly #socket: Socket
  #received = ''

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.#received += text
    })
  }

  static async attach(path: string): Promise<Gdb> {
    const socket = connect(path)
    await once(socket, 'connect')
    return new Gdb(socket)
  }

  async ask(words: string): Promise<string> {
    const sum = [...Buffer.from(words)].reduce((total, byte) => (total + byte) % 256, 0)
    this.#socket.write(`$${words}#${sum.toString(16).padStart(2, '0')}`)
    for (;;) {
      const [whole, answer] = /\$([^#]*)#[0-9a-f]{2}/.exec(this.#received) ?? []
      if (whole !== undefined && answer !== undefined) {
        this.#received = this.#received.slice(this.#received.indexOf(whole) + whole.length)
        this.#socket.write('+')
        return answer
      }
      await once(this.#socket, 'data')
    }
  }

  async memory(address: bigint, bytes: number): Promise<string> {
    return Buffer.from(await this.ask(`m${address.toString(16)},${bytes.toString(16)}`), 'hex').toString('latin1')
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}

test('reads the memory of a guest that stands still, and lets it go on, whether it takes leave or not', async () => {
  await using vm = await kernel.start()
  const { stdout } = await vm.exec("grep -w -e linux_banner -e _stext /proc/kallsyms | sort -k 3 | cut -d ' ' -f 1")
  const [text = 0n, banner = 0n] = stdout
    .trim()
    .split('\n')
    .map((hex) => BigInt(`0x${hex}`))
  const gdb = await vm.debugger.openGdb()
  expect(statSync(gdb.socket).mode & 0o777).toBe(0o600)
  // Kernels are linked to multiples of 16 MiB, at most.
  expect((text - (gdb.kernelOffset ?? 1n)) % 0x100_0000n).toBe(0n)
  for (const leave of ['D', undefined]) {
    {
      using session = await Gdb.attach(gdb.socket)
      expect(await session.ask('?')).toMatch(/^[ST]05/)
      expect(await session.memory(banner, 14)).toBe('Linux version ')
      expect(await session.ask('g')).toMatch(/^[0-9a-fx]{100,}$/)
      if (leave !== undefined) expect(await session.ask(leave)).toBe('OK')
    }
    expect((await vm.exec('echo goes on')).stdout).toBe('goes on\n')
  }
  await vm.stop()
  expect(existsSync(gdb.socket)).toBe(false)
})

test('run --gdb says how gdb is attached', async () => {
  await using run = await testkernels(['run', '--kernel', 'debian:bookworm', '--gdb', '--', 'true'])
  expect(await run.program.exit).toEqual({ code: 0, signal: null })
  expect(run.program.stderr).toMatch(
    /gdb -ex 'target remote \/.+\/gdb\.sock' -ex 'symbol-file -o 0x[0-9a-f]+ \/usr\/lib\/debug\/boot\/vmlinux-6\.1\..+'/,
  )
  expect(run.program.stderr).toMatch(/linux-image-6\.1\.\S+-dbg/)
  await run.gone()
})
