// For those who need an image and no VM: index.ts has all of this as well, and loads SSH.
export { buildkitOf, type Host, type OpenHostOptions, openHost } from './host.ts'
export { type PrepareOptions, prepareImage, takeImage } from './prepare-image.ts'
