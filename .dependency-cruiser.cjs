// The layers of docs/architecture.md as rules: an import points to a lower layer or stays in its own folder.
// Tests follow the same rules, except that they may import anything below src/.
const layers = [
  ['errors', 'files', 'kernel-log', 'lifetime', 'log'],
  ['arch', 'options'],
  ['buildkit', 'engine', 'qemu', 'report', 'ssh'],
  ['host'],
  ['image', 'template', 'streams', 'forward', 'mounts'],
  ['vm', 'worker', 'matrix', 'doctor', 'bisect'],
  ['vitest', 'jest', 'cli', 'index'],
]
// Layers 0, 1, 4 and 5 are small stacks of their own: these few pairs may look sideways, in this direction only.
const stacked = {
  files: ['errors'],
  lifetime: ['errors'],
  log: ['errors'],
  options: ['arch'],
  forward: ['streams'],
  mounts: ['streams'],
  worker: ['vm'],
  matrix: ['vm', 'worker'],
  doctor: ['vm', 'matrix'],
  bisect: ['vm'],
}

const notTests = '\\.test\\.ts$'
const path = (names) => `^src/(${names.join('|')})(/|\\.ts$)`

const upwardsOrSideways = layers.flatMap((folders, level) =>
  folders.map((folder) => {
    const above = layers.slice(level + 1).flat()
    const beside = folders.filter((other) => other !== folder && !(stacked[folder] ?? []).includes(other))
    return {
      name: `${folder}-imports-downward-only`,
      severity: 'error',
      from: { path: path([folder]), pathNot: notTests },
      to: { path: path([...above, ...beside]) },
    }
  }),
)

module.exports = {
  forbidden: [
    ...upwardsOrSideways,
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'only-the-docker-host-knows-the-engine',
      severity: 'error',
      from: { path: '^src', pathNot: `^src/(engine|host/docker)/|${notTests}` },
      to: { path: '^src/engine/' },
    },
    {
      name: 'sources-do-not-import-tests',
      severity: 'error',
      from: { pathNot: notTests },
      to: { path: notTests },
    },
    {
      name: 'no-unlisted-packages',
      severity: 'error',
      from: { path: '^src', pathNot: notTests },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        pathNot: 'node_modules/(vitest|jest|@jest/reporters|testcontainers|vite)/',
      },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs'],
    },
  },
}
