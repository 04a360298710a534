import { silentLogger } from '../log/index.ts'
import { kernelText } from '../options/index.ts'
import { chooseAccelerator } from './accelerator/choose.ts'
import { bootVm } from './boot.ts'
import { consoleDirectory, sweepConsoleLogs } from './console-log.ts'
import { type PrepareOptions, prepareImage } from './prepare-image.ts'
import { sweepRunDirectories } from './run-directory.ts'
import { StartedKernelVm } from './started-kernel-vm.ts'
import { Timeline } from './timeline.ts'

export interface StartOptions extends PrepareOptions {
  /** The entry's image, where it is there already. @default prepared first */
  readonly image?: string
}

/** Starts the VM of an entry: image, accelerator, boot. What was started is ended when a later step fails. */
export async function startVm(options: StartOptions): Promise<StartedKernelVm> {
  const { host, entry, log = silentLogger } = options
  const signal = options.signal ?? new AbortController().signal
  const timeline = new Timeline()
  signal.throwIfAborted()
  await sweepRunDirectories(host.settings.runtimeDirectory)
  await sweepConsoleLogs(consoleDirectory(host.settings))
  const image = options.image ?? (await timeline.time('image', () => prepareImage(options))).ref
  const { accelerator, why } = await timeline.time('accelerator', () =>
    chooseAccelerator({ host, entry, image, log, signal }),
  )
  log.info(`starting ${kernelText(entry.kernel)}, cgroup v${entry.cgroup}, with ${why}`)
  const booted = await bootVm({ host, entry, image, accelerator, timeline, log, signal })
  log.info(`ready in ${timeline.summary()}`)
  return new StartedKernelVm(entry, booted, timeline)
}
