/* The yardstick of round trips: 16 bytes there and back, with one thread per side.
 *
 *   mode=block    recvfrom sleeps
  *   mode=spin     recv(MSG_DONTWAIT) in a loop
  *   connected=1   the answering side connects its socket to the first peer, and can serve no other
 *   load=1        a stream saturates the link meanwhile */
#include "raw.h"
#include "stream_c.h"

static int flags;
static bool connected;

static void *answer(void *argument)
{
    int fd = *(int *)argument;
    uint8_t ping[64];
    struct sockaddr_in6 from;
    bool known = false;
    for (;;) {
        socklen_t length = sizeof from;
        ssize_t size = known ? recv(fd, ping, sizeof ping, flags)
                             : recvfrom(fd, ping, sizeof ping, flags, (struct sockaddr *)&from,
                                        &length);
        if (size < 0)
            continue;
        if (connected && !known) {
            must(connect(fd, (struct sockaddr *)&from, length), "connect");
            known = true;
        }
        if (known)
            send(fd, ping, (size_t)size, 0);
        else
            sendto(fd, ping, (size_t)size, 0, (struct sockaddr *)&from, length);
    }
    return NULL;
}

static void measure(char **argv)
{
    size_t count = number_argument(argv, "count", 10000);
    size_t warm_up = count / 10;
    uint64_t interval = number_argument(argv, "interval_us", 0) * 1000;
    uint64_t *rtt = must_allocate(count * sizeof *rtt);
    int fd = raw_connected(SOCK_DGRAM, peer_argument(argv), CONTROL_PORT);
    struct timeval patience = {.tv_sec = 1};
    must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), "SO_RCVTIMEO");
    uint64_t lost = 0;
    for (size_t i = 0; i < warm_up + count; i++) {
        uint64_t ping[2] = {0x5054545200000000u, now_ns()}, pong[8];
        must(send(fd, ping, sizeof ping, 0), "send");
        uint32_t turns = 0;
        bool late = false;
        ssize_t size;
        do {
            size = recv(fd, pong, sizeof pong, flags);
            /* Reading the clock in each iteration would slow the yardstick down. */
            if (size < 0 && (!flags || ++turns % 65536 == 0))
                late = now_ns() - ping[1] > 1000000000u;
        } while (!late && (size != sizeof ping || pong[1] != ping[1]));
        lost += late;
        if (i >= warm_up)
            rtt[i - warm_up] = now_ns() - ping[1];
        if (interval > 0)
            usleep((useconds_t)(interval / 1000));
    }
    say("lost", lost);
    say_all("rtt_ns", rtt, count);
}

int main(int argc, char **argv)
{
    bool far = is_far(argc, argv);
    bool load = number_argument(argv, "load", 0) != 0;
    flags = strcmp(text_argument(argv, "mode", "block"), "spin") == 0 ? MSG_DONTWAIT : 0;
    connected = number_argument(argv, "connected", 0) != 0;
    if (far) {
        int fd = raw_bound(SOCK_DGRAM, CONTROL_PORT);
        if (load)
            stream_sink_start();
        must_start(answer, &fd);
        say_ready();
        wait_for_end();
        return 0;
    }
    if (load)
        load_begin(stream_load, (void *)(uintptr_t)peer_argument(argv));
    measure(argv);
    if (load)
        say("load_bytes_per_second", load_rate());
    return 0;
}
