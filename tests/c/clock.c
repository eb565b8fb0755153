/*
  * The wall clock jumps back and forth by centuries all the time. Timeouts, round trips and the uptime
  * stay right, and no pong is matched to another ping.
 */
#include "raw.h"

#include <dlfcn.h>
#include <limits.h>
#include <sys/time.h>

static int jumps;

/* A time between long before 1970 and long after the range of 64-bit nanoseconds. */
static void anywhen(struct timespec *now)
{
    static const time_t centuries[] = {0,           -62135596800, 253402300799, 18446744073,
                                       18446744074, 9223372036,   -1,           1700000000,
                                       1,           LONG_MAX / 2, LONG_MIN / 2, 4294967296};
    int jump = add(&jumps, 1);
    now->tv_sec = centuries[jump % 12];
    now->tv_nsec = jump * 7919L % 1000000000L;
}

/* The clock_gettime of the executable replaces that of the C library, for the library too. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI) {
        anywhen(now);
        return 0;
    }
    if (real == NULL) {
        void *symbol = dlsym(RTLD_NEXT, "clock_gettime");
        memcpy(&real, &symbol, sizeof real);
    }
    return real(clock, now);
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec time;
    (void)zone;
    anywhen(&time);
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec time;
    anywhen(&time);
    if (now != NULL)
        *now = time.tv_sec;
    return time.tv_sec;
}

#define WAITS(call)                                        \
    do {                                                   \
        uint64_t wait_begin = milliseconds();              \
        GIVES(DCF_TB_ERR_TIMEOUT, call);                   \
        CHECK(milliseconds() - wait_begin >= TIMEOUT_MS - 1); \
        CHECK(milliseconds() - wait_begin < GENEROUS_MS);  \
    } while (0)

enum { TIMEOUT_MS = 50 };

int main(void)
{
    uint64_t begin = milliseconds();
    dcf_tb_transport a = start_on_loopback(), b = start_on_loopback();
    const peers_of to = peer_strings(b);
    stream_pair pair = connect_streams(a, b);
    uint64_t started = milliseconds(), rtt = 0;
    int mute = raw_socket(SOCK_DGRAM, "::1", 0);
    char silent[64];
    uint8_t byte;
    size_t count = 0;
    dcf_tb_stream stream;
    dcf_tb_peer found;
    dcf_tb_rtt summary;
    summary.struct_size = sizeof summary;
    snprintf(silent, sizeof silent, "[::1%%lo]:%u", raw_port(mute));

    TOPIC("timeouts have their real length");
    for (int i = 0; i < 4; i++) {
        WAITS(dcf_tb_recv(a, &byte, 1, &count, NULL, 0, TIMEOUT_MS));
        WAITS(dcf_tb_accept(a, TIMEOUT_MS, &stream));
        WAITS(dcf_tb_wait_link(a, 0, TIMEOUT_MS));
        WAITS(dcf_tb_stream_read(pair.near_end, &byte, 1, TIMEOUT_MS, &count));
        WAITS(dcf_tb_measure_rtt(a, silent, TIMEOUT_MS, &rtt));
        WAITS(dcf_tb_ping(a, silent, 3, 0, TIMEOUT_MS / 3 + 1, &summary));
        uint64_t wait_begin = milliseconds();
        OK(dcf_tb_discover(a, TIMEOUT_MS, &found, 1, &count));
        CHECK(milliseconds() - wait_begin >= TIMEOUT_MS - 1);
    }

    TOPIC("round trips have their real length, and each gets its own pong");
    uint64_t longest = 0, before = milliseconds();
    for (int i = 0; i < 1000; i++) {
        OK(dcf_tb_measure_rtt(a, to.control, GENEROUS_MS, &rtt));
        longest = rtt > longest ? rtt : longest;
    }
    CHECK(longest <= (milliseconds() - before + 1) * 1000000);
    before = milliseconds();
    OK(dcf_tb_ping(a, to.control, 200, 100, GENEROUS_MS, &summary));
    CHECK(summary.received == 200);
    CHECK(summary.min_ns > 0 && summary.max_ns <= (milliseconds() - before + 1) * 1000000);
    dcf_tb_stats stats = stats_of(a);
    CHECK(stats.pongs_received == 1200);

    TOPIC("the uptime is right");
    uint64_t now = milliseconds();
    stats = stats_of(a);
    CHECK(stats.uptime_ns / 1000000 + 1 >= now - started);
    CHECK(stats.uptime_ns / 1000000 <= milliseconds() - begin + 1);

    printf("  the wall clock was read %d times\n", value(&jumps));
    CHECK(value(&jumps) > 0);
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
    close(mute);
    return 0;
}
