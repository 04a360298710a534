// Runs in each worker before its test files: points the Docker clients of this worker at its VM.
import { inject } from 'vitest'
import { assignEnvironment } from '../worker/index.ts'
import { setKernels } from './kernels.ts'

const { scope, kernels } = inject('testkernels')
setKernels(kernels)
const [own] = kernels
if (scope === 'project' && own !== undefined) assignEnvironment(own.environment)
