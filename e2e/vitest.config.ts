import { defineConfig } from 'vitest/config'
import { projects } from './projects.ts'

export default defineConfig({ test: { projects } })
