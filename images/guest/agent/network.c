#include "agent.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

// The second device of virtio-net (src/qemu/devices.ts).
#define DEVICE "eth1"
// The kernel says to all on the network which address on the wire is whose, when the device goes up or is given one: who knew the one before
// would go on with that.
#define ARP_NOTIFY "/proc/sys/net/ipv4/conf/" DEVICE "/arp_notify"

// Longer than any guest takes to see a link that is up.
#define LINK_DEADLINE_S 60

// Until when to look for the link, in seconds since the boot; 0: nothing is to be announced.
static time_t looked_for_until;

static bool device_ioctl(int socket, unsigned long what, struct ifreq *request) {
  strcpy(request->ifr_name, DEVICE);
  return ioctl(socket, what, request) == 0;
}

static bool set_flags(int socket, int add, int remove) {
  struct ifreq request = {0};
  if (!device_ioctl(socket, SIOCGIFFLAGS, &request)) return false;
  request.ifr_flags = (request.ifr_flags | add) & ~remove;
  return device_ioctl(socket, SIOCSIFFLAGS, &request);
}

static bool set_address(int socket, unsigned long what, in_addr_t address) {
  struct ifreq request = {0};
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = address};
  memcpy(&request.ifr_addr, &here, sizeof here);
  return device_ioctl(socket, what, &request);
}

static bool set_mac(int socket, const uint8_t mac[6]) {
  struct ifreq request = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};
  memcpy(request.ifr_hwaddr.sa_data, mac, 6);
  return device_ioctl(socket, SIOCSIFHWADDR, &request);
}

static void have_kernel_announce(void) {
  FILE *file = fopen(ARP_NOTIFY, "we");
  if (!file) return;
  fputs("1", file);
  fclose(file);
}

void network_join(const char *value) {
  char text[INET_ADDRSTRLEN];
  unsigned bits;
  uint8_t mac[6];
  struct in_addr address;
  int count = sscanf(value, "%15s %u %hhx:%hhx:%hhx:%hhx:%hhx:%hhx", text, &bits, &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]);
  if (count != 8 || bits > 32 || inet_pton(AF_INET, text, &address) != 1) return control_event("warning", "no address on the network of VMs");
  in_addr_t mask = bits ? htonl(~0u << (32 - bits)) : 0;
  int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  have_kernel_announce();
  // Not every driver changes the address of a device that is up.
  bool joined = any >= 0 && set_flags(any, 0, IFF_UP) && set_mac(any, mac) && set_address(any, SIOCSIFADDR, address.s_addr) &&
                set_address(any, SIOCSIFNETMASK, mask) && set_address(any, SIOCSIFBRDADDR, address.s_addr | ~mask) &&
                set_flags(any, IFF_UP, 0);
  if (!joined) control_event("warning", "cannot set up " DEVICE " for the network of VMs");
  close(any);
}

static time_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_BOOTTIME, &time);
  return time.tv_sec;
}

void network_announce(void) { looked_for_until = now() + LINK_DEADLINE_S; }

bool network_awaits_link(void) {
  if (!looked_for_until) return false;
  struct ifreq request = {0};
  int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool linked = device_ioctl(any, SIOCGIFFLAGS, &request) && request.ifr_flags & IFF_RUNNING;
  // To be given the address that it has is enough: what the device does, and who is on it, stays as it is.
  bool announced = linked && device_ioctl(any, SIOCGIFHWADDR, &request) && device_ioctl(any, SIOCSIFHWADDR, &request);
  close(any);
  if (!announced && now() < looked_for_until) return true;
  if (!announced) control_event("warning", "cannot tell others on the network of VMs the address of " DEVICE);
  looked_for_until = 0;
  return false;
}
