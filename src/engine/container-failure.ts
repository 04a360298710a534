import type { Architecture } from '../arch/index.ts'
import { reasonOf, type TestkernelsError } from '../errors/index.ts'
import type { ContainerOptions } from './container-options.ts'
import { ContainerNotStartedError, DeviceMissingError, ImageMissingError } from './errors.ts'
import { errorCodeOf, statusOf } from './request.ts'

export interface FailedStart extends Pick<ContainerOptions, 'image' | 'entry'> {
  readonly arch: Architecture
}

/** The error for a container that did not come to run: which of the things it needs is missing, and how to get it. */
export function containerFailure({ arch, image, entry }: FailedStart, cause: unknown): TestkernelsError {
  const reason = reasonOf(cause)
  const [, device] = /adding custom device "([^"]+)"/.exec(reason) ?? []
  if (device !== undefined) {
    // The kernel's module by the device that it makes.
    const modules: Readonly<Record<string, string>> = {
      '/dev/net/tun': 'tun',
      '/dev/kvm': arch.kvmModules.join(' or '),
    }
    const module = modules[device]
    const load = module === undefined ? 'load its driver' : `load its driver (\`sudo modprobe ${module}\`)`
    return new DeviceMissingError({
      what: `the engine's machine has no ${device}`,
      remedy: `${load}; where the engine is a container itself, pass the device on to it`,
      entry,
      cause,
    })
  }
  if (statusOf(cause) === 404 && /no such image/i.test(reason)) {
    return new ImageMissingError({
      what: `the engine has no image ${image}`,
      remedy: 'build it again; something removed it meanwhile',
      entry,
      cause,
    })
  }
  return new ContainerNotStartedError({
    what: `the engine did not start a container of ${image}`,
    remedy:
      errorCodeOf(cause) === undefined
        ? "change what the cause names, or see the engine's log"
        : 'the engine does not answer any more: see whether `docker info` does',
    entry,
    cause,
  })
}
