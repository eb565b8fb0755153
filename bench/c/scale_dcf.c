/* A mesh: heartbeats to and from many peers, once a second each, spread over the second. The peers are
 * plain sockets on ports of their own. The library on the near side is measured.
 *
 *   peers=N seconds=N */
#include "dcf.h"
#include "pace.h"
#include "process.h"
#include "raw.h"
#include <poll.h>

#define FIRST_PORT 20000
#define HEARTBEAT 17 /* bytes, of a DCF frame */

static _Atomic uint64_t received;

/* Plays all peers on one thread: sends a heartbeat from each once a second, and reads the library's. */
static void *play_peers(void *argument)
{
    size_t count = *(size_t *)argument;
    struct pollfd *peers = must_allocate(count * sizeof *peers);
    uint8_t heartbeat[HEARTBEAT] = "peer", answer[64];
    struct sockaddr_in6 to = {0};
    for (size_t i = 0; i < count; i++)
        peers[i] = (struct pollfd){raw_bound(SOCK_DGRAM, (uint16_t)(FIRST_PORT + i)), POLLIN, 0};
    say_ready();
    uint64_t interval = 1000000000u / count, next = 0;
    for (size_t turn = 0;;) {
        uint64_t now = now_ns();
        int wait = next == 0 ? -1 : next > now ? (int)((next - now) / 1000000) : 0;
        if (poll(peers, count, wait) > 0) {
            for (size_t i = 0; i < count; i++) {
                socklen_t length = sizeof to;
                if (peers[i].revents == 0)
                    continue;
                while (recvfrom(peers[i].fd, answer, sizeof answer, MSG_DONTWAIT,
                                (struct sockaddr *)&to, &length) > 0)
                    atomic_fetch_add(&received, 1);
                if (next == 0)
                    next = now_ns();
            }
        }
        for (; next != 0 && now_ns() >= next; next += interval, turn++)
            (void)sendto(peers[turn % count].fd, heartbeat, sizeof heartbeat, MSG_DONTWAIT,
                         (struct sockaddr *)&to, sizeof to);
    }
    return NULL;
}

static void count_one(const uint8_t *message, size_t length, const char *sender, void *ignored)
{
    (void)message;
    (void)sender;
    (void)ignored;
    if (length == HEARTBEAT)
        atomic_fetch_add(&received, 1);
}

int main(int argc, char **argv)
{
    bool far = is_far(argc, argv);
    size_t count = number_argument(argv, "peers", 128);
    uint64_t seconds = number_argument(argv, "seconds", 5);
    if (far) {
        must_start(play_peers, &count);
        wait_for_end();
        say("messages", atomic_load(&received));
        return 0;
    }
    dcf_tb_config config = dcf_config(argv);
    config.on_message = count_one;
    dcf_tb_transport transport = dcf_start(&config);
    char(*peers)[80] = must_allocate(count * sizeof *peers);
    for (size_t i = 0; i < count; i++)
        snprintf(peers[i], sizeof peers[i], "[%s]:%zu", peer_argument(argv), FIRST_PORT + i);
    uint8_t heartbeat[HEARTBEAT] = "node";
    uint64_t cpu = 0, start = 0, before = 0, sent = 0;
    /* The first second warms up. */
    uint64_t from = now_ns();
    for (uint64_t beat = 0; beat < count * (seconds + 1); beat++) {
        uint64_t due = from + beat * 1000000000u / count, now = now_ns();
        if (due > now)
            usleep((useconds_t)((due - now) / 1000));
        if (beat == count) {
            cpu = cpu_ns();
            start = now_ns();
            before = atomic_load(&received);
            sent = 0;
        }
        dcf_must(dcf_tb_send(transport, peers[beat % count], heartbeat, sizeof heartbeat),
                 "dcf_tb_send");
        sent++;
    }
    say("sent", sent);
    say("messages", atomic_load(&received) - before);
    say("cpu_ns", cpu_ns() - cpu);
    say("elapsed_ns", now_ns() - start);
    say("memory", resident_bytes());
    return 0;
}
