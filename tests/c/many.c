/* Two hundred transports in one process: the cost of each, and closing in any order. */
#include "process.h"

#include <sys/resource.h>

/* The cost of one transport, as the header gives it. */
enum { MANY = 200, DESCRIPTORS = 8, THREADS = 2 };

static dcf_tb_transport transports[MANY];
static peers_of peers[MANY];
static int order[MANY];

/* A message, a round trip and a stream from each transport to the next. */
static void ring(void)
{
    for (int i = 0; i < MANY; i++) {
        int next = (i + 1) % MANY;
        uint64_t rtt = 0;
        uint32_t number = 0;
        send_text(transports[i], peers[next].control, "round");
        expect_text(transports[next], "round");
        OK(dcf_tb_measure_rtt(transports[i], peers[next].control, GENEROUS_MS, &rtt));
        stream_pair pair = connect_streams(transports[i], transports[next]);
        write_all(pair.near_end, &i, sizeof number);
        read_exactly(pair.far_end, &number, sizeof number);
        CHECK(number == (uint32_t)i);
        close_pair(pair);
    }
}

static void *close_half(void *first)
{
    for (int i = *(int *)first; i < MANY; i += 2)
        OK(dcf_tb_close(transports[order[i]]));
    return NULL;
}

int main(void)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(limit.rlim_max >= MANY * (DESCRIPTORS + 3)); /* ulimit -n */
    int descriptors = count_descriptors(), threads = count_threads();
    OK(dcf_tb_close(start_on_loopback()));
    EVENTUALLY(count_threads() == threads); /* an ended thread is listed for a moment */
    uint64_t resident = resident_kib();

    TOPIC("two hundred transports, each with the cost that the header gives");
    for (int i = 0; i < MANY; i++) {
        transports[i] = start_on_loopback();
        peers[i] = peer_strings(transports[i]);
        order[i] = i;
    }
    /* A transport that has just started queries its interface once more. */
    EVENTUALLY(count_descriptors() - descriptors == MANY * DESCRIPTORS);
    CHECK(count_threads() - threads == MANY * THREADS);
    printf("  each has %d descriptors, %d threads, %d KiB\n", DESCRIPTORS, THREADS,
           (int)(resident_kib() - resident) / MANY);

    TOPIC("all of them work");
    ring();

    TOPIC("they close in any order, from several threads, while the others go on");
    for (int i = MANY - 1; i > 0; i--) {
        int other = (int)((unsigned)i * 2654435761u % (unsigned)(i + 1)), kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
    for (int i = 0; i < MANY / 2; i++) {
        uint64_t rtt = 0;
        OK(dcf_tb_close(transports[order[i]]));
        OK(dcf_tb_measure_rtt(transports[order[i + 1]], peers[order[MANY - 1]].control, GENEROUS_MS, &rtt));
    }
    int first[2] = {MANY / 2, MANY / 2 + 1};
    pthread_t closers[2];
    for (int i = 0; i < 2; i++)
        closers[i] = start_thread(close_half, &first[i]);
    for (int i = 0; i < 2; i++)
        join(closers[i]);

    TOPIC("closing all of them leaves nothing behind");
    CHECK(count_descriptors() == descriptors);
    EVENTUALLY(count_threads() == threads);
    return 0;
}
