// The package for `require`. In a test file of Jest's only CommonJS can be required; in a configuration Node takes either.

/** @type {typeof import('../options/index.js').kernelMatrix} */
exports.kernelMatrix = (...args) => require('../options/index.js').kernelMatrix(...args)

/** @type {typeof import('./config.js').kernelProjects} */
exports.kernelProjects = (...args) => require('./config.js').kernelProjects(...args)

/** @type {typeof import('./config.js').kernelSuite} */
exports.kernelSuite = (...args) => require('./config.js').kernelSuite(...args)

exports.kernels = require('./kernels.cjs').kernels
