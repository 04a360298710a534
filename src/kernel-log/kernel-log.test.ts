import { expect, test } from 'vitest'
import { type KernelLogRecord, type KernelReport, ReportCutter } from './index.ts'

/** The lines as a kernel's records, a millisecond apart. */
function records(text: string): KernelLogRecord[] {
  const lines = text.trim().split('\n')
  return lines.map((line, at) => ({ level: 4, sequence: 100 + at, uptimeUs: 5_000_000 + at * 1000, text: line }))
}

function cut(text: string): KernelReport[] {
  const cutter = new ReportCutter()
  return [...records(text).flatMap((record) => cutter.push(record)), ...cutter.flush()]
}

const titles = (text: string) => cut(text).map(({ kind, title }) => `${kind}: ${title}`)

/** What stands around a report in every log. */
const before = 'docker0: port 1(veth12ab) entered blocking state'
const after = 'docker0: port 1(veth12ab) entered disabled state'

const trace = `CPU: 1 PID: 412 Comm: runc Tainted: G        W  OE      6.1.0-50-cloud #1  Debian 6.1.192-2
Hardware name: QEMU
Call Trace:
 <TASK>
 dump_stack_lvl+0x44/0x5c
 ? ksys_write+0x63/0xe0
 entry_SYSCALL_64_after_hwframe+0x6e/0xd8
RIP: 0033:0x7f1c2a4f3300
RSP: 002b:00007ffd1a2b3c48 EFLAGS: 00000202 ORIG_RAX: 0000000000000001
R10: 0000000000000000 R11: 0000000000000202 R12: 0000000000000002
 </TASK>`

const warning = `------------[ cut here ]------------
the count of it is 3
WARNING: CPU: 1 PID: 412 at drivers/misc/lkdtm/bugs.c:114 lkdtm_WARNING+0x12/0x20 [lkdtm]
Modules linked in: lkdtm(E) overlay
${trace}
---[ end trace 0000000000000000 ]---`

test('a report is its block, from the mark before its headline to its end, and nothing around it', () => {
  const [report, ...more] = cut(`${before}\n${warning}\n${after}`)
  expect(more).toEqual([])
  expect(report).toEqual({
    kind: 'warning',
    title: 'WARNING in lkdtm_WARNING (drivers/misc/lkdtm/bugs.c)',
    headline: 'WARNING: CPU: 1 PID: 412 at drivers/misc/lkdtm/bugs.c:114 lkdtm_WARNING+0x12/0x20 [lkdtm]',
    block: warning,
    sequence: 103,
    uptimeS: 5.003,
  })
})

test('a block without a mark ends with its call trace', () => {
  const hung = `INFO: task touch:731 blocked for more than 120 seconds.
      Not tainted 6.1.0-50-cloud #1 Debian 6.1.192-2
"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
task:touch           state:D stack:0     pid:731   ppid:1      flags:0x00000002
Call Trace:
 <TASK>
 __schedule+0x34d/0x9e0
 percpu_rwsem_wait+0x112/0x130
 </TASK>`
  const [report] = cut(`${before}\n${hung}\n${after}\n${before}`)
  expect(report).toMatchObject({ kind: 'hung-task', title: 'hung task: touch', block: hung })
})

test.each([
  [
    'BUG: KASAN: slab-out-of-bounds in foo_write+0x1c/0x30 [foo]',
    'memory-access: KASAN: slab-out-of-bounds in foo_write',
  ],
  ['BUG: KASAN: use-after-free in process_one+0x1c/0x30', 'memory-access: KASAN: use-after-free in process_one'],
  ['BUG: KFENCE: out-of-bounds read in test_read+0x7/0x20', 'memory-access: KFENCE: out-of-bounds read in test_read'],
  ['BUG: KMSAN: uninit-value in tcp_recv+0xa/0x1000', 'memory-access: KMSAN: uninit-value in tcp_recv'],
  [
    'BUG: KASAN: double-free or invalid-free in 0xffffffffc0123456',
    'memory-access: KASAN: double-free or invalid-free',
  ],
  [
    'BUG: KCSAN: data-race in tick_sched / tick_nohz_stop',
    'data-race: KCSAN: data-race in tick_sched / tick_nohz_stop',
  ],
  [
    'UBSAN: shift-out-of-bounds in fs/ext4/super.c:1234:15',
    'undefined-behaviour: UBSAN: shift-out-of-bounds in fs/ext4/super.c',
  ],
  ['UBSAN: Undefined behaviour in mm/page.c:3:5', 'undefined-behaviour: UBSAN: Undefined behaviour in mm/page.c'],
  [
    'WARNING: possible circular locking dependency detected',
    'locking: lockdep: possible circular locking dependency detected',
  ],
  ['[ INFO: possible recursive locking detected ]', 'locking: lockdep: possible recursive locking detected'],
  ['WARNING: inconsistent lock state', 'locking: lockdep: inconsistent lock state'],
  ['WARNING: suspicious RCU usage', 'locking: lockdep: suspicious RCU usage'],
  ['INFO: suspicious RCU usage.', 'locking: lockdep: suspicious RCU usage'],
  [
    'WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected',
    'locking: lockdep: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected',
  ],
  ['WARNING: bad unlock balance detected!', 'locking: lockdep: bad unlock balance detected'],
  ['[ BUG: Invalid wait context ]', 'locking: lockdep: Invalid wait context'],
  [
    'BUG: sleeping function called from invalid context at mm/slab.h:494',
    'atomic: BUG: sleeping function called from invalid context at mm/slab.h',
  ],
  ['BUG: scheduling while atomic: runc/412/0x00000002', 'atomic: BUG: scheduling while atomic'],
  [
    'BUG: using smp_processor_id() in preemptible [00000000] code: runc/12',
    'atomic: BUG: using smp_processor_id() in preemptible',
  ],
  ['refcount_t: underflow; use-after-free.', 'refcount: refcount_t: underflow; use-after-free'],
  ['watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [runc:412]', 'soft-lockup: soft lockup'],
  ['NMI watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [runc:412]', 'soft-lockup: soft lockup'],
  ['NMI watchdog: Watchdog detected hard LOCKUP on cpu 0', 'hard-lockup: hard lockup'],
  ['watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 0', 'hard-lockup: hard lockup'],
  ['BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 37s!', 'workqueue-lockup: workqueue lockup'],
  ['rcu: INFO: rcu_preempt self-detected stall on CPU', 'rcu-stall: RCU stall (rcu_preempt)'],
  ['rcu: INFO: rcu_sched detected stalls on CPUs/tasks:', 'rcu-stall: RCU stall (rcu_sched)'],
  ['rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 1-... }', 'rcu-stall: RCU stall (rcu_sched)'],
  ['INFO: task kworker/u4:1:123 blocked for more than 120 seconds.', 'hung-task: hung task: kworker'],
  ['INFO: task runc:[2:INIT]:88 blocked for more than 120 seconds.', 'hung-task: hung task: runc:[2:INIT]'],
  [
    'INFO: task dd:88 blocked on a mutex likely owned by task cat:9 for more than 120 seconds.',
    'hung-task: hung task: dd',
  ],
  ['kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)', 'memory-leak: memory leaks'],
  ['kmemleak: unreferenced object 0xffff888003d1e000 (size 64):', 'memory-leak: memory leak'],
  ['BUG: KASAN: use-after-free in lkdtm_WRITE.cold+0xbc/0xbe', 'memory-access: KASAN: use-after-free in lkdtm_WRITE'],
  ['kernel BUG at lib/list_debug.c:53!', 'bug: kernel BUG at lib/list_debug.c'],
  ['BUG: Bad page state in process runc  pfn:0b1c2', 'bug: BUG: Bad page state'],
  ['BUG: Bad rss-counter state mm:00000000a1b2c3d4 type:MM_ANONPAGES val:3', 'bug: BUG: Bad rss-counter state'],
  ['BUG: spinlock bad magic on CPU#0, runc/412', 'bug: BUG: spinlock bad magic'],
  ['BUG: non-zero pgtables_bytes on freeing mm: 4096', 'bug: BUG: non-zero pgtables_bytes on freeing'],
  ['BUG kmalloc-64 (Tainted: G    B): Poison overwritten', 'bug: BUG kmalloc-64: Poison overwritten'],
  ['BUG: unable to handle page fault for address: ffffc90000a1b000', 'oops: BUG: unable to handle page fault'],
  [
    'BUG: unable to handle kernel paging request at ffffc90000a1b000',
    'oops: BUG: unable to handle kernel paging request',
  ],
  ['BUG: kernel NULL pointer dereference, address: 0000000000000010', 'oops: BUG: kernel NULL pointer dereference'],
  [
    'Unable to handle kernel NULL pointer dereference at virtual address 0000000000000010',
    'oops: Unable to handle kernel NULL pointer dereference',
  ],
  [
    'general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] PREEMPT SMP NOPTI',
    'oops: general protection fault',
  ],
  [
    'Oops: general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP',
    'oops: general protection fault',
  ],
  ['divide error: 0000 [#1] PREEMPT SMP NOPTI', 'oops: divide error'],
  ['Internal error: Oops: 0000000096000004 [#1] SMP', 'oops: Oops'],
  [
    'WARNING: kernel/sched/core.c:12 at try_to_wake_up+0x1a/0x5c0, CPU#1: runc/412',
    'warning: WARNING in try_to_wake_up (kernel/sched/core.c)',
  ],
  ['WARNING: CPU: 0 PID: 1 at mm/vmalloc.c:12 0xffffffff8123', 'warning: WARNING (mm/vmalloc.c)'],
])('%s', (headline, title) => {
  expect(titles(`${before}\n${headline}\n${after}`)).toEqual([title])
})

test.each([
  'Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible via Spectre v2 BHB attacks!',
  'MDS CPU bug present and SMT on, data leak possible.',
  'WARNING! power/level is deprecated; use power/control instead',
  'TCP: request_sock_TCP: Possible SYN flooding on port 0.0.0.0:80. Sending cookies.',
  "process 'docker/tmp/qemu-check123/check' started with executable stack",
  'INFO: lockdep is turned off.',
  'Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100',
  'ACPI BIOS Warning (bug): 32/64X length mismatch in FADT/Pm1aEventBlock',
  'oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),task=python3,pid=412,uid=0',
  'Memory cgroup out of memory: Killed process 412 (python3) total-vm:70000kB',
  'python3[412]: segfault at 0 ip 00007f1c2a4f3300 sp 00007ffd1a2b3c48 error 4 in libc.so',
  'traps: a.out[412] general protection fault ip:401136 sp:7ffd1a2b3c48 error:0 in a.out[401000+1000]',
  'traps: a.out[412] trap invalid opcode ip:401136 sp:7ffd1a2b3c48 error:0 in a.out[401000+1000]',
  'kernel: BUG: this is a quotation',
])('is no report: %s', (line) => {
  expect(titles(`${before}\n${line}\n${after}`)).toEqual([])
})

test('an oops is one report with its BUG, and named after the function that was interrupted', () => {
  const oops = `BUG: kernel NULL pointer dereference, address: 0000000000000000
#PF: supervisor write access in kernel mode
Oops: 0002 [#1] PREEMPT SMP NOPTI
CPU: 0 PID: 412 Comm: cat Tainted: G            E      6.1.0-50-cloud #1
RIP: 0010:lkdtm_NULL+0x12/0x20 [lkdtm]
Call Trace:
 <TASK>
 full_proxy_write+0x53/0x80
 </TASK>
---[ end trace 0000000000000000 ]---`
  expect(titles(`${oops}\n${after}`)).toEqual(['oops: BUG: kernel NULL pointer dereference in lkdtm_NULL'])
})

test('a warning of a reference count is one report', () => {
  const refcount = `------------[ cut here ]------------
refcount_t: underflow; use-after-free.
WARNING: CPU: 0 PID: 412 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110
${trace}
---[ end trace 0000000000000000 ]---`
  expect(cut(refcount)).toMatchObject([{ title: 'refcount_t: underflow; use-after-free', block: refcount }])
})

test('what a sanitizer says is between two lines of equal signs', () => {
  const kasan = `==================================================================
BUG: KASAN: slab-use-after-free in lkdtm_READ+0x1c/0x30
Read of size 4 at addr ffff88800abc1200 by task cat/412
${trace}
Allocated by task 412:
 kasan_save_stack+0x1e/0x40
Memory state around the buggy address:
 ffff88800abc1100: fc fc fc fc fc fc fc fc
>ffff88800abc1200: fa fb fb fb fb fb fb fb
==================================================================`
  expect(cut(`${before}\n${kasan}\n${after}`)).toMatchObject([
    { title: 'KASAN: slab-use-after-free in lkdtm_READ', block: kasan },
  ])
})

test('two in a row are two', () => {
  const lockup = `watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [cat:412]
CPU: 1 PID: 412 Comm: cat Not tainted
RIP: 0010:lkdtm_SOFTLOCKUP+0x5/0x10 [lkdtm]
${trace}`
  expect(titles(`${warning}\n${lockup}\n${warning}`)).toEqual([
    'warning: WARNING in lkdtm_WARNING (drivers/misc/lkdtm/bugs.c)',
    'soft-lockup: soft lockup in lkdtm_SOFTLOCKUP',
    'warning: WARNING in lkdtm_WARNING (drivers/misc/lkdtm/bugs.c)',
  ])
})

test('a report that does not end has an end: after a pause, and after many lines', () => {
  const cutter = new ReportCutter()
  const [first] = records('WARNING: CPU: 1 PID: 412 at a/b.c:1 f+0x1/0x2')
  if (first === undefined) throw new Error('no record')
  expect(cutter.push(first)).toEqual([])
  expect(cutter.isOpen).toBe(true)
  const later = { ...first, sequence: 101, uptimeUs: first.uptimeUs + 3_000_000, text: 'eth0: link is up' }
  expect(cutter.push(later)).toMatchObject([{ block: first.text }])
  expect(cutter.isOpen).toBe(false)
  const endless = [first, ...Array.from({ length: 1000 }, (_, at) => ({ ...first, sequence: at, text: ` line ${at}` }))]
  const [long] = endless.flatMap((record) => cutter.push(record))
  expect(long?.block.split('\n')).toHaveLength(300)
})
