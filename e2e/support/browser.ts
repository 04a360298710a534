// A headless Chromium, as Debian has it, driven over its debugging pipe: https://chromedevtools.github.io/devtools-protocol/
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

const PROGRAM = 'chromium-headless-shell'

interface Message {
  readonly id?: number
  readonly method?: string
  readonly result?: Record<string, unknown>
  readonly error?: { readonly message: string }
}

export interface Screen {
  /** In CSS pixels. */
  readonly width: number
  readonly height: number
  readonly scheme: 'light' | 'dark'
  /** @default off: the page must need none */
  readonly scripts?: 'on' | 'off'
}

/** One tab. */
export class Browser implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #profile: string
  readonly #answers = new Map<number, (message: Message) => void>()
  readonly #events = new Map<string, () => void>()
  /** Not `close`: its own children have its streams, and end a little later. */
  readonly #exit: Promise<unknown>
  #session: string | undefined
  #count = 0

  private constructor(child: ChildProcess, profile: string) {
    this.#child = child
    this.#profile = profile
    this.#exit = once(child, 'exit')
    let rest = ''
    ;(child.stdio[4] as Readable).setEncoding('utf8').on('data', (piece: string) => {
      const messages = (rest + piece).split('\0')
      rest = messages.pop() ?? ''
      for (const message of messages) this.#take(JSON.parse(message) as Message)
    })
  }

  static async start(): Promise<Browser> {
    const profile = await mkdtemp(join(tmpdir(), 'tk-browser-'))
    const child = spawn(
      PROGRAM,
      ['--no-sandbox', '--disable-gpu', '--no-proxy-server', `--user-data-dir=${profile}`, '--remote-debugging-pipe'],
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
    )
    await once(child, 'spawn')
    const browser = new Browser(child, profile)
    const { targetId } = await browser.send('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await browser.send('Target.attachToTarget', { targetId, flatten: true })
    browser.#session = sessionId as string
    await browser.send('Page.enable')
    return browser
  }

  async send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const id = ++this.#count
    const answered = new Promise<Message>((resolve) => this.#answers.set(id, resolve))
    const { result, error } = await this.#sent({ id, method, params }, answered)
    if (result === undefined) throw new Error(`${method}: ${error?.message}`)
    return result
  }

  async #sent(request: object, answered: Promise<Message>): Promise<Message> {
    const sessionId = this.#session === undefined ? {} : { sessionId: this.#session }
    ;(this.#child.stdio[3] as Writable).write(`${JSON.stringify({ ...request, ...sessionId })}\0`)
    const ended = this.#exit.then(() => {
      throw new Error(`${PROGRAM} ended`)
    })
    return await Promise.race([answered, ended])
  }

  #take(message: Message): void {
    if (message.id !== undefined) this.#answers.get(message.id)?.(message)
    else this.#events.get(message.method ?? '')?.()
  }

  /** Resolves when the page is loaded and drawn. */
  async open(url: string, { width, height, scheme, scripts = 'off' }: Screen): Promise<void> {
    await this.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 })
    await this.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] })
    await this.send('Emulation.setScriptExecutionDisabled', { value: scripts === 'off' })
    const loaded = new Promise<void>((resolve) => this.#events.set('Page.loadEventFired', resolve))
    // Another address of the same page would only scroll.
    await this.send('Page.navigate', { url: 'about:blank' })
    await loaded
    const shown = new Promise<void>((resolve) => this.#events.set('Page.loadEventFired', resolve))
    await this.send('Page.navigate', { url })
    await shown
  }

  /** The value of an expression of JavaScript in the page. */
  async value<T>(expression: string): Promise<T> {
    const { result } = (await this.send('Runtime.evaluate', { expression, returnByValue: true })) as {
      result: { value: T }
    }
    return result.value
  }

  /** A key, as `KeyboardEvent.key` names it. */
  async press(key: 'Tab' | 'Enter'): Promise<void> {
    const code = { Tab: 9, Enter: 13 }[key]
    const one = { key, code: key, windowsVirtualKeyCode: code, ...(key === 'Enter' && { text: '\r' }) }
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', ...one })
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...one })
  }

  /** PNG of what is on the screen, or of the whole page. */
  async screenshot(path: string, { of = 'screen' }: { readonly of?: 'screen' | 'page' } = {}): Promise<void> {
    const { data } = await this.send('Page.captureScreenshot', { captureBeyondViewport: of === 'page' })
    await writeFile(path, data as string, 'base64')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exit
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 10 })
  }
}
