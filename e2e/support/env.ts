function variable(name: string): string {
  const value = process.env[name]
  if (value === undefined)
    throw new Error(`${name} is not set: run e2e tests by their project: npx vitest run --project NAME`)
  return value
}

/** Reference of a busybox image; guests of the kernel projects have it. */
export const fixtureImage = variable('TESTKERNELS_E2E_IMAGE')
/** The same image as a tar of `docker save`. */
export const fixtureTar = variable('TESTKERNELS_E2E_TAR')
/** Reference of a Debian image in the engine's store. */
export const baseImage = variable('TESTKERNELS_E2E_BASE')
/** That image as a tar, in the projects that run on an engine in a guest. */
export const baseTar = () => variable('TESTKERNELS_E2E_BASE_TAR')
