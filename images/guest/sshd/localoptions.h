// What Dropbear is built with: src/distrooptions and default_options.h of its source name all options. The guest's one user has one
// key, and its one client asks for curve25519 and ed25519 (src/ssh/algorithms.ts); what nobody uses would be set up at each start.
#define DROPBEAR_SVR_PASSWORD_AUTH 0
#define DROPBEAR_SVR_AGENTFWD 0
#define DROPBEAR_X11FWD 0
#define DROPBEAR_DSS 0
#define DROPBEAR_RSA 0
#define DROPBEAR_ECDSA 0
#define DROPBEAR_SK_KEYS 0
#define DROPBEAR_SNTRUP761 0
#define DROPBEAR_MLKEM768 0
#define DROPBEAR_ECDH 0
#define DROPBEAR_DH_GROUP14_SHA256 0
// As the guest's command has it (images/guest/agent/spawn.c): our tools stand in for what the rootfs lacks.
#define DEFAULT_ROOT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/.testkernels/bin"
