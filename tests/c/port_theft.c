/*
  * Local users try to bind the ports of a transport. They must fail even while the library shares a
  * port between sockets of its own. Attackers loop on bind() in processes of another user, with every
  * combination of SO_REUSEADDR and SO_REUSEPORT.
 *
 * Linux compares user ids for SO_REUSEPORT only, so that option needs a second user id. Where a user
 * namespace maps a single one, the attackers have ours, and use SO_REUSEADDR alone.
 */
#include "process.h"
#include "raw.h"

#include <grp.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum {
    ATTEMPTS = 5000, /* of each attacker, while connected sockets are opened */
    SINKS = 96,       /* more peers than connected sockets, so that these are opened again and again */
    SENDS = 600,      /* in a row to one of them: enough for a connected socket */
    NOBODY = 65534
};

typedef struct attacker {
    int type;
    const char *address;
    int share_address;
    int share_port;
    const char *device;
    /* Shared with its process. */
    int attempts;
    int bound;
    int listens;
} attacker;

typedef struct shared {
    int turn; /* The attacker whose turn it is: one at a time, so that each gets a processor; 0: none. */
    int ports[2];
    attacker attackers[32];
} shared;

static shared *common;

/* Whether more than one user id is mapped in our user namespace. */
static int has_other_users(void)
{
    unsigned long inside, outside, count, total = 0;
    FILE *map = fopen("/proc/self/uid_map", "re");
    CHECK(map != NULL);
    while (fscanf(map, "%lu %lu %lu", &inside, &outside, &count) == 3)
        total += count;
    fclose(map);
    CHECK(total > 0);
    return geteuid() == 0 && total > 1;
}

static void become_nobody(void)
{
    CHECK(setgroups(0, NULL) == 0);
    CHECK(setresgid(NOBODY, NOBODY, NOBODY) == 0);
    CHECK(setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

/* Tries once; keeps and reports a socket that it could bind. */
static void try_once(attacker *own)
{
    const int on = 1;
    int port = value(&common->ports[own->type == SOCK_STREAM]);
    struct sockaddr_in6 address = raw_address(own->address, (uint16_t)port);
    int fd = socket(AF_INET6, own->type | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0);
    if (own->device != NULL)
        CHECK(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, own->device,
                         (socklen_t)strlen(own->device)) == 0);
    if (own->share_address)
        CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    if (own->share_port)
        CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        add(&own->bound, 1);
        if (own->type == SOCK_STREAM && listen(fd, 1) == 0)
            add(&own->listens, 1);
        return;
    }
    CHECK(errno == EADDRINUSE);
    close(fd);
}

static void attack(attacker *own, int turn)
{
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    while (value(&common->turn) != turn)
        pause_briefly();
    while (value(&common->turn) == turn && !value(&own->bound)) {
        try_once(own);
        add(&own->attempts, 1);
    }
    for (;;)
        pause();
}

static int make_attackers(int other_user, pid_t *pids)
{
    static const char *const addresses[] = {"::", "fe80::5"};
    int count = 0;
    for (int type = 0; type < 2; type++)
        for (int place = 0; place < 2; place++)
            for (int options = 1; options < 4; options++) {
                if (!other_user && (options & 2))
                    continue;
                attacker *own = &common->attackers[count];
                own->type = type ? SOCK_STREAM : SOCK_DGRAM;
                own->address = addresses[place];
                own->share_address = options & 1;
                own->share_port = options & 2;
                own->device = place == 1 ? "lo" : NULL;
                pids[count] = fork();
                CHECK(pids[count] >= 0);
                if (pids[count++] > 0)
                    continue;
                if (other_user)
                    become_nobody();
                attack(own, count);
            }
    return count;
}

static void got_nothing(const attacker *one)
{
    if (value(&one->bound) == 0)
        return;
    printf("  bound: %s port of %s, SO_REUSEADDR %d, SO_REUSEPORT %d, after %d attempts\n",
           one->type == SOCK_STREAM ? "TCP" : "UDP", one->address, one->share_address,
           one->share_port, value(&one->attempts));
    CHECK(!"a stranger got our port");
}

/* Sends so many messages to each sink in turn that connected sockets are opened all the time. */
static void open_connected_sockets(dcf_tb_transport t, const int *sinks)
{
    static int next;
    char peer[64];
    snprintf(peer, sizeof peer, "[::1%%lo]:%u", raw_port(sinks[next++ % SINKS]));
    for (int sent = 0; sent < SENDS; sent++)
        OK(dcf_tb_send(t, peer, (const uint8_t *)"x", 1));
}

int main(void)
{
    pid_t pids[32];
    int sinks[SINKS];
    common = (shared *)mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(common != MAP_FAILED);
    int other_user = has_other_users();
    if (!other_user)
        printf("! only one user id is mapped here, so attackers of another user are not tested; "
               "run this test as root\n");
    int count = make_attackers(other_user, pids);

    dcf_tb_config config = loopback_config();
    dcf_tb_transport t = start_on_own_ports(&config);
    set(&common->ports[0], control_port(t));
    set(&common->ports[1], data_port(t));
    for (int i = 0; i < SINKS; i++)
        sinks[i] = raw_socket(SOCK_DGRAM, "::1", 0);
    int before = count_descriptors();

    TOPIC("no other user can bind our ports while connected sockets are opened");
    uint64_t begun = milliseconds();
    for (int i = 0; i < count; i++) {
        const attacker *one = &common->attackers[i];
        set(&common->turn, i + 1);
        do {
            open_connected_sockets(t, sinks);
            got_nothing(one);
            CHECK(milliseconds() - begun < 3 * GENEROUS_MS);
        } while (value(&one->attempts) < ATTEMPTS);
        CHECK(count_descriptors() > before);
    }
    set(&common->turn, 0);

    TOPIC("a second transport of the same user cannot bind them either");
    dcf_tb_transport second = 0;
    GIVES(DCF_TB_ERR_ADDRESS_IN_USE, dcf_tb_init(&config, &second));
    CHECK(error_says("UDP control"));
    config.control_port = 0;
    GIVES(DCF_TB_ERR_ADDRESS_IN_USE, dcf_tb_init(&config, &second));
    CHECK(error_says("TCP data"));

    TOPIC("data sent to the ports arrives only here");
    struct sockaddr_in6 control = raw_address("::1", control_port(t));
    for (int i = 0; i < 1000; i++) {
        raw_send(sinks[0], "ours", 4, control);
        expect_text(t, "ours");
    }
    for (int i = 0; i < count; i++) {
        CHECK(kill(pids[i], SIGKILL) == 0);
        CHECK(waitpid(pids[i], NULL, 0) == pids[i]);
    }

    if (other_user) {
        TOPIC("a program that changes its user id goes on, without new sockets on the port");
        become_nobody();
        for (int i = 0; i < SINKS; i++)
            open_connected_sockets(t, sinks);
        raw_send(sinks[0], "still ours", 10, control);
        expect_text(t, "still ours");
        config.control_port = control_port(t);
        GIVES(DCF_TB_ERR_ADDRESS_IN_USE, dcf_tb_init(&config, &second));
    }
    OK(dcf_tb_close(t));
    return 0;
}
