import type { Architecture } from '../../arch/index.ts'
import { llb, type State } from '../../buildkit/graph.ts'
import { sources } from './sources.ts'

/** Compiles both ends of the door (images/door), static: a state with `/box`, for the container, and `/guest`. */
export function doorPrograms(tools: State, arch: Architecture): State {
  return tools
    .run({
      name: '[door] compile both ends',
      script: `
cd /src
# The kernel's headers come from the C library beside musl's; musl's own go first.
headers="-idirafter /usr/include -idirafter /usr/include/$(gcc -print-multiarch)"
for end in box guest; do
  musl-gcc $headers -static -Os -Wall -Wextra -Werror -s -o /out/$end $end.c request.c pair.c listener.c loop.c support.c
done`,
      mounts: [llb.bind('/src', sources('door', { arch }), { selector: '/src' }), llb.output('/out')],
    })
    .mountOutput('/out')
}
