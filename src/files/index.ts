export { type RemoveOlderOptions, removeOlder } from './remove-older.ts'
export { replaceFile, replaceFileSync } from './replace-file.ts'
