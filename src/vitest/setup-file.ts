// Runs in each worker before its test files: points the Docker clients of this worker at its VM.
import { inject } from 'vitest'

const { scope, kernels } = inject('testkernels')
const [own] = kernels
if (scope === 'project' && own !== undefined) {
  for (const [name, value] of Object.entries(own.environment)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
}
