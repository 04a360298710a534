import { silentLogger } from '../log/index.ts'
import { kernelText } from '../options/index.ts'
import { chooseAccelerator } from './accelerator/choose.ts'
import { bootVm } from './boot.ts'
import { consoleDirectory, sweepConsoleLogs } from './console-log.ts'
import { type PrepareOptions, prepareImage } from './prepare-image.ts'
import { sweepRunDirectories } from './run-directory.ts'
import { StartedKernelVm } from './started-kernel-vm.ts'
import { Timeline } from './timeline.ts'

/** Starts the VM of an entry: image, accelerator, boot. What was started is ended when a later step fails. */
export async function startVm(options: PrepareOptions): Promise<StartedKernelVm> {
  const { host, entry, log = silentLogger } = options
  const signal = options.signal ?? new AbortController().signal
  const timeline = new Timeline()
  signal.throwIfAborted()
  await sweepRunDirectories(host.settings.runtimeDirectory)
  await sweepConsoleLogs(consoleDirectory(host.settings))
  const image = await timeline.time('image', () => prepareImage(options))
  const { accelerator, why } = await timeline.time('accelerator', () =>
    chooseAccelerator({ host, entry, image: image.ref, log, signal }),
  )
  log.info(`starting ${kernelText(entry.kernel)}, cgroup v${entry.cgroup}, with ${why}`)
  const booted = await bootVm({ host, entry, image: image.ref, accelerator, timeline, log, signal })
  log.info(`ready in ${timeline.summary()}`)
  return new StartedKernelVm(entry, booted, timeline)
}
