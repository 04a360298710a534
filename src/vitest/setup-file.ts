// Runs in each worker before each of its test files: points the Docker clients of this worker at its VM.
import { inject } from 'vitest'
import { assignEnvironment, readVariable, takeVms } from '../worker/index.ts'
import { setVms } from './kernels.ts'

const { scope, kernels: listed, vms } = inject('testkernels')
const taken = await takeVms(vms, { worker: readVariable('VITEST_POOL_ID') ?? '' })
const kernels = vms.length === 0 ? listed : taken.map(({ kernel }) => kernel)
setVms({ taken, kernels })
const [own] = kernels
if (scope === 'project' && own !== undefined) assignEnvironment(own.environment)
