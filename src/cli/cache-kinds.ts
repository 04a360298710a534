/** What `prune --all` removes besides the remains of runs, and `--keep` leaves. */
export const cacheKinds = ['images', 'templates', 'cache'] as const
export type CacheKind = (typeof cacheKinds)[number]
