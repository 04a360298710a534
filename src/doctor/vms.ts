import { stat } from 'node:fs/promises'
import { type Box, DeviceMissingError } from '../host/index.ts'
import { orAborted } from '../lifetime/index.ts'
import { kernelText } from '../options/index.ts'
import { listTemplates } from '../template/index.ts'
import { judgeKvm, planVm } from '../vm/index.ts'
import type { Check, DoctorContext, Finding } from './check.ts'

const GROUP = 'Virtual machines'
/** A container that opens a device is over in a second or two; the engine may have others to start before. */
const TUN_DEADLINE_MS = 60_000
/** For the probe, which has a deadline of its own, and containers around it. */
const KVM_DEADLINE_MS = 60_000
/** It waits for the probe of KVM, and looks into a volume with a container. */
const START_DEADLINE_MS = 120_000
const TUN = '/dev/net/tun'

export const tun: Check = {
  id: 'tun',
  title: 'tun',
  group: GROUP,
  deadlineMs: TUN_DEADLINE_MS,
  needs: 'engine',
  examine: async (context, signal) => {
    const image = await context.image()
    if (image === undefined) return await lookForTun(context)
    const { host } = await context.engine()
    // As a VM's box has it; that the node is there says nothing of the driver behind it.
    const spec = {
      image,
      entry: context.entry.name,
      entrypoint: ['sh', '-c', `: <>${TUN}`],
      devices: [TUN],
      capabilities: ['NET_ADMIN'],
    }
    await using box = await host.run(spec, { signal, log: context.log })
    return await opened(box, signal)
  },
}

async function opened(box: Box, signal: AbortSignal): Promise<Finding> {
  const { exitCode } = await orAborted(box.exited, signal)
  if (exitCode === 0) return { status: 'ok', message: `a container opens ${TUN}` }
  return {
    status: 'failure',
    message: `a container has ${TUN} and cannot open it: ${box.stderr.tail(1)}`,
    remedy: 'load its driver (`sudo modprobe tun`) on the machine of the engine',
  }
}

/** Without an image of ours there is nothing that could open it in a container. */
async function lookForTun({ engine, entry }: DoctorContext): Promise<Finding> {
  if ((await engine()).engine.locality === 'remote')
    return { status: 'ok', message: `${TUN} is tried when the first image is there` }
  const found = await stat(TUN).catch(() => undefined)
  if (found?.isCharacterDevice()) return { status: 'ok', message: `${TUN} is there` }
  throw new DeviceMissingError({
    what: `there is no ${TUN}`,
    remedy: 'load its driver (`sudo modprobe tun`); where the engine is a container itself, pass the device on to it',
    entry: entry.name,
  })
}

export const kvm: Check = {
  id: 'kvm',
  title: 'KVM',
  group: GROUP,
  deadlineMs: KVM_DEADLINE_MS,
  needs: 'engine',
  examine: async (context, signal) => {
    const image = await context.image()
    if (image === undefined) return await lookForKvm(context)
    // Who asks a doctor may just have mended it: a remembered failure is no answer.
    const entry = { ...context.entry, accelerator: 'kvm' } as const
    const verdict = await judgeKvm({ session: await context.session(), entry, image, log: context.log, signal })
    if (verdict.kvm === 'works') return { status: 'ok', message: 'works: a guest ran with it' }
    return {
      status: 'warning',
      message: `is not used, because ${verdict.reason}`,
      remedy: `leave it (guests run under software emulation, which is slower), or ${verdict.remedy}`,
    }
  },
}

async function lookForKvm({ engine }: DoctorContext): Promise<Finding> {
  const message = 'not tried: that takes an image, and the first start builds one'
  if ((await engine()).engine.locality === 'remote' || (await stat('/dev/kvm').catch(() => undefined)) !== undefined)
    return { status: 'ok', message }
  const { kvmModules } = (await engine()).host.arch
  return {
    status: 'warning',
    message: 'this machine has no /dev/kvm: guests run under software emulation',
    remedy: `load its driver (\`sudo modprobe ${kvmModules.join('` or `sudo modprobe ')}\`), with virtualisation enabled in the firmware`,
  }
}

export const start: Check = {
  id: 'start',
  title: 'A start now',
  group: GROUP,
  deadlineMs: START_DEADLINE_MS,
  needs: 'engine',
  examine: async (context, signal) => {
    const { entry } = context
    const what = `${kernelText(entry.kernel)}, cgroup v${entry.cgroup}`
    const image = await context.image()
    if (image === undefined)
      return { status: 'ok', message: `${what}: its image is built first, which takes minutes and is done once` }
    const session = await context.session()
    const plan = await planVm({ session, entry, image }, { ...context.start(), signal })
    const how = `${what}, ${plan.machine.accelerator.kind === 'kvm' ? 'with KVM' : 'under software emulation'}`
    if (plan.template === undefined) return { status: 'ok', message: `${how}: boots` }
    const { hasVolume, host } = await context.engine()
    const { directory } = plan.template
    const there =
      (await hasVolume(plan.template.volume)) &&
      (await listTemplates(plan.template, { host, image, entry: entry.name, log: context.log, signal })).some(
        ({ key }) => key === directory,
      )
    const from = there ? 'starts from its saved VM' : 'boots, and saves the VM for the starts after it'
    return { status: 'ok', message: `${how}: ${from}` }
  },
}
