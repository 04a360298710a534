import { join } from 'node:path'
import { type ForwardAddress, type ForwardPlace, Forwards } from '../forward/index.ts'
import { thisUser } from '../host/index.ts'
import type { Logger } from '../log/index.ts'
import { forwardName, type KernelEntry } from '../options/index.ts'
import type { BootedVm } from './boot/booted-vm.ts'
import { addPublishedPorts, dockerSocket, noDockerd, ownPorts } from './boot/connect.ts'
import { headlineOf } from './death/death.ts'
import type { VmPlan } from './plan.ts'
import type { Entrance, EntrancePlace, VmAddresses } from './worker-environment.ts'

/** @throws the reason of a VM that is gone; ForwardPortTakenError, PortNotForwardedError; as `listenPrivately` */
export async function openEntrance(
  { streams, gone }: Pick<BootedVm, 'streams' | 'gone'>,
  { entry, engine, log }: Pick<VmPlan, 'entry' | 'engine'> & { readonly log: Logger },
  { directory, address, former = {} }: EntrancePlace,
): Promise<Entrance> {
  gone.throwIfAborted()
  const forwards = new Forwards({ streams, ports: 'forwarded', reservedPorts: ownPorts, log, entry: entry.name })
  try {
    const place = { directory, directoryOwner: thisUser().uid }
    const docker = await forwards.addDocker({
      remotePath: dockerSocket.path,
      localPath: join(directory, 'docker.sock'),
      directoryOwner: place.directoryOwner,
      whenRefused: noDockerd({ entry, engine }),
    })
    if (engine === 'dockerd') await addPublishedPorts(forwards, address, place)
    const opened = await openForwards(forwards, entry, { ...place, former })
    gone.addEventListener('abort', () => forwards.explain(headlineOf(gone.reason)), { once: true })
    return { dockerHost: docker.dockerHost, address, forwards: opened, [Symbol.asyncDispose]: () => forwards.close() }
  } catch (thrown) {
    await forwards.close()
    throw gone.aborted ? gone.reason : thrown
  }
}

/** Opens what an entry asks for. @throws ForwardPortTakenError; as `listenPrivately` */
export async function openForwards(
  forwards: Forwards,
  entry: KernelEntry,
  { former = {}, ...place }: ForwardPlace & Pick<EntrancePlace, 'former'>,
): Promise<VmAddresses['forwards']> {
  const opened: Record<string, ForwardAddress> = {}
  for (const forward of entry.forwards) {
    const name = forwardName(forward)
    const taken = former[name]
    const again = taken?.kind === 'tcp' ? { ...forward, host: taken.port } : forward
    opened[name] = await forwards.addForward(again, place)
  }
  return Object.freeze(opened)
}
