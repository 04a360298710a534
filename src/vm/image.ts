// For those who need an image and no VM: index.ts has all of this as well, and loads SSH.
export { findImage, listKernels, prepareImage, readChangelog, takeImage, type Wanted } from './prepare-image.ts'
export { newSession, openSession, type Session } from './session.ts'
export { newStart, type Preparation, type Start, type StartOptions } from './start.ts'
