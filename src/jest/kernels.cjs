// In CommonJS, because test files are, unless Jest runs with --experimental-vm-modules.

/** Where the test environment leaves the VMs: in the global object of the tests, which is not that of Jest. */
const KEY = Symbol.for('testkernels.jest.kernels')

/**
 * The VMs of this project, in the order of the matrix. Works at the top level of a test file, for `describe.each`.
 * @returns {import('../worker/index.js').Kernel[]}
 */
function kernels() {
  const provide = /** @type {Record<symbol, () => import('../worker/index.js').Kernel[]>} */ (
    /** @type {unknown} */ (globalThis)
  )[KEY]
  if (provide !== undefined) return provide()
  throw Object.assign(
    new Error(
      'kernels() was called where there are none\n' +
        '  remedy: call it in test files of a project that kernelProjects() or kernelSuite() made',
    ),
    { code: 'NO_KERNELS' },
  )
}

module.exports = { KEY, kernels }
