/** What loads images, for those who have images alone. By itself: the compiler leaves an `import()` beside a `using` as it is. */
export async function preloading() {
  return await import('./index.ts')
}
