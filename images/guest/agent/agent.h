// The guest's PID 1 after init, or a service of systemd: talks to the host on the control port, runs sshd and the command, reaps.
// One concern a file; main.c owns the event loop.
#pragma once
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TOOLS "/.testkernels"

// ---- control.c: lines to and from the host over the virtio-serial port named testkernels.control ----
// Opens the port; without one (docker run IMAGE, no host) every send is dropped. Returns the descriptor or -1.
int control_open(void);
// {"phase":NAME,"uptime":SECONDS}: a step of the boot, with the guest's uptime.
void control_phase(const char *name);
// {EVENT:TEXT}, TEXT escaped as a JSON string.
void control_event(const char *event, const char *text);
// Sends the phases that init wrote before the port could be used.
void control_replay_phases(void);
// Reads what is there and calls `handle` once for each complete line.
void control_read(void (*handle)(char *verb, char *value));

// ---- identity.c: what makes this guest itself; pushed by the host after a boot and again after a restore ----
// Takes one `verb value` line of the host; returns false for a verb that is not about identity. Lets the owner in at `door`, which comes
// as soon as there are random numbers, and to SSH at `admit`.
bool identity_handle(const char *verb, const char *value);
// Whether the guest has keys of its host. Before that, and in a template, nobody is let in.
bool identity_is_known(void);

// ---- network.c: where the guest is on a network of VMs ----
// `ADDRESS BITS MAC`: what the second network device has from now on, in place of what it had; tells others on the network.
void network_join(const char *value);
// Tells others on the network once more, as soon as the kernel sees the device's link, which was down until now (a clone of a checkpoint).
void network_announce(void);
// Whether it still looks for the link. Call it every few dozen milliseconds.
bool network_awaits_link(void);

// Bytes that are written as hexadecimal digits, up to the first that is none; returns how many.
size_t from_hex(const char *hex, uint8_t *bytes, size_t limit);

// ---- settings.c: what the host gives a guest that boots before its command is started ----
// Whether the host has them to give, and has not given all.
bool settings_are_awaited(void);
// Takes one line of the host; returns false for a verb that is not about settings.
bool settings_handle(const char *verb, const char *value);
// Makes all directories that are above a path.
void make_directories(char *path);

// ---- door.c: the owner's way to sockets of the guest (images/door/guest.c is what it is) ----
// Starts its program, which goes on in a restored guest: no start waits for it.
void door_start(void);
// From now on it lets in who knows the secret, and nobody of before.
void door_admit(const char *secret);
// Lets nobody in.
void door_forget(void);
// Starts it again when it was its program that ended.
void door_child_ended(pid_t child);

// ---- sessions.c: SSH servers, one for each connection ----
#define SSH_DIR TOOLS "/ssh"
#define HOST_KEY SSH_DIR "/host_key"
// Listens for SSH; returns the descriptor or -1. It goes on in a restored guest, so that no start waits for a listener.
int sessions_listen(void);
// Starts the server of the next connection ahead of it, unless there is one: a clone then need not start a program first, of which
// under emulation every step is translated anew. It has read no key and no random number when it is saved with its guest.
void sessions_prepare(void);
// Takes one connection, if there is one, and gives it an SSH server of its own.
void sessions_accept(void);
// Ends those that are connected.
void sessions_end(void);
// Forgets the session that ended; tells the host what its server said when it ended with an error.
void sessions_child_ended(pid_t child, int status);

// ---- proxy.c: a proxy that asks for a password, which dockerd is not told: its environment is saved in templates ----
// `SCHEME HOST PORT CREDENTIALS`: where the proxy for `http` or `https` is, and what it wants to know in base64. Listens for dockerd from then
// on.
void proxy_handle(const char *value);
// What to poll, or -1; and what to do when there is something.
int proxy_descriptor(void);
void proxy_accept(void);

// ---- daemon-json.c: how dockerd is configured. It refuses what is both there and on its command line ----
// Puts what the host has for it into the rootfs's daemon.json, before anything else is asked of it, and takes from a command line of the rootfs's
// what the entry says another way: the words up to a NULL, of which the first is the program. NULL where there is none.
void daemon_json_merge(char *given[]);
bool daemon_json_has(const char *key);
// Copies the value of a key of the outermost object; false where it is no string, or longer than `size`.
bool daemon_json_string(const char *key, char *value, size_t size);

// ---- containerd.c: dockerd gives a containerd that it starts itself 15 seconds, whatever the machine (moby, libcontainerd/supervisor:
// startupTimeout), and is not up by then where the machine is busy. One that is up before it has no deadline ----
// Whether the rootfs has the program.
bool containerd_is_there(void);
pid_t containerd_start(void);
// Its socket: that of the rootfs's configuration, or where dockerd has the one that it starts itself.
char *containerd_socket(void);
// Whether it takes connections there. Never blocks.
bool containerd_answers(const char *socket);

// ---- command.c: what the guest is for: dockerd, or the command the image names ----
// `containerd`: the socket of the one that dockerd is to use; NULL: it starts one itself.
pid_t command_start(char *containerd);
// Becomes dockerd: the command line of the rootfs's docker.service, and our flags. Returns when it cannot.
void command_become_dockerd(char *argv[]);
// Whether it is dockerd, and not a command of the user's.
bool command_is_docker(void);
// The socket of the containerd that a guest is for which has no dockerd, as a unit of systemd; NULL in others.
const char *command_containerd(void);
// True once GET /_ping on dockerd's socket answers 200, or its containerd's socket takes a connection; for a command of the user's, as soon
// as it runs. Never blocks longer than a second.
bool command_is_ready(void);
// Sends the last lines of the command's log to the host.
void command_send_log(void);

// ---- kernel-log.c: what the guest's kernel says, for a host that asks for it; no more of it than the host takes ----
void kernel_log_open(void);
// Takes the host's word: `from-now` forgets what was said until now; `wait` has the next batch of lines sent when there is one; `ask N`
// has it sent at once, with all that is in the log at this moment.
void kernel_log_handle(const char *value);
// How many milliseconds not to poll it, or -1; then what to poll, or -1; and what to do when there is something.
int kernel_log_pause_ms(void);
int kernel_log_descriptor(void);
void kernel_log_read(void);

// ---- power.c: how programs ask their init for the end of the machine ----
void power_add_signals(sigset_t *set);
// What the guest is by it: `rebooted`, `powered off` or `halted`; NULL for a signal that says nothing of the kind.
const char *power_signal(int number);
// Returns the descriptor of the pipe that is written to, or -1.
int power_open(void);
// Reads what was written; the answer is that of power_signal().
const char *power_read(int initctl);

// ---- service.c: where systemd is PID 1, its units (images/guest/systemd) tell the agent what becomes of the guest ----
// Returns the descriptor of the pipe that they write to, or -1.
int service_open(void);
// Whether it is open: whether the agent is a service.
bool service_is_agent(void);
// Has the agent, where it is a service, send a warning of dockerd's process, which has no port.
void service_warn(const char *text);
// Reads what was written, and calls `handle` once for each line: `up`; `failed HOW` of dockerd; `warning TEXT`; `rebooted`, `powered off`
// or `halted`.
void service_read(void (*handle)(const char *order));

// ---- out-of-memory.c ----
// Whether the kernel killed the process because memory was short: its log says so.
bool killed_for_memory(pid_t process);

// ---- load.c: images for dockerd, from a disk that is there while a template is made ----
// Has dockerd load the archive at `OFFSET LENGTH` of the disk, in bytes; tells the host how far it is (`loading`) and what dockerd
// answered (`loaded`).
void load_begin(const char *value);
// What to poll for news of it, or -1; and what to do when there are some.
int load_descriptor(void);
void load_read(void);
// Lets go of the disk; tells the host (`ejected`).
void load_eject(void);

// ---- settle.c: a guest that is saved while it still starts would go on with that in every clone ----
// Begins to look for a rest; tells the host ("settled") when there was one, or when there is none in 20 seconds.
void settle_begin(void);
// Whether it still looks. Call it every few dozen milliseconds.
bool settle_continues(void);

// ---- spawn.c ----
// Forks and executes, as the leader of a session. Standard input and output are `connection`; where that is -1, input is empty
// and output goes to `log`, as errors always do. Returns the child.
pid_t spawn(char *const argv[], int connection, const char *log);
// Whatever a test has its guest do, its owner gets through. What the program starts has the usual priority.
void prefer(pid_t program);
