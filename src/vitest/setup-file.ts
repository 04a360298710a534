// Runs in each worker before each of its test files: points the Docker clients of this worker at its VM.
import { inject } from 'vitest'
import { assignEnvironment, leaseVms, readVariable } from '../worker/index.ts'
import { setVms } from './kernels.ts'

const { scope, listed, vms } = inject('testkernels')
const leased = await leaseVms(vms, { worker: readVariable('VITEST_POOL_ID') ?? '' })
const kernels = vms.length === 0 ? listed : leased.map(({ kernel }) => kernel)
setVms({ leased, kernels })
const [own] = kernels
if (scope === 'project' && own !== undefined) assignEnvironment(own.environment)
