/* A thousand streams at once, accepted by several threads. */
#include "process.h"

#include <sys/resource.h>

enum { STREAMS = 1000, THREADS = 4 };
static dcf_tb_stream near_ends[STREAMS], far_ends[STREAMS];
static int accepted;
static dcf_tb_transport server;

static void *accept_some(void *unused)
{
    for (;;) {
        uint32_t number = STREAMS;
        dcf_tb_stream stream = 0;
        dcf_tb_status status = dcf_tb_accept(server, GENEROUS_MS, &stream);
        if (status == DCF_TB_CANCELLED || status == DCF_TB_ERR_INVALID_HANDLE)
            return unused;
        CHECK(status == DCF_TB_OK);
        read_exactly(stream, &number, sizeof number);
        CHECK(number < STREAMS);
        CHECK(__atomic_exchange_n(&far_ends[number], stream, __ATOMIC_SEQ_CST) == 0);
        add(&accepted, 1);
    }
}

int main(void)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(limit.rlim_max >= 2 * STREAMS + 100); /* ulimit -n */
    dcf_tb_transport client = start_on_loopback();
    server = start_on_loopback();
    const peers_of to = peer_strings(server);

    TOPIC("a thousand connections before the first is accepted");
    for (uint32_t i = 0; i < STREAMS; i++) {
        OK(dcf_tb_open_stream(client, to.data, GENEROUS_MS, &near_ends[i]));
        write_all(near_ends[i], &i, sizeof i);
    }
    CHECK(stats_of(client).streams_open == STREAMS);

    TOPIC("each is accepted once, by one of the threads");
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = start_thread(accept_some, NULL);
    EVENTUALLY(value(&accepted) == STREAMS);
    CHECK(stats_of(server).streams_open == STREAMS && stats_of(server).rejected == 0);

    TOPIC("open streams have no threads of their own");
    CHECK(each_library_thread(NULL, NULL) < 10);

    TOPIC("all of them work, and close");
    for (uint32_t i = 0; i < STREAMS; i++)
        write_all(far_ends[i], &i, sizeof i);
    for (uint32_t i = 0; i < STREAMS; i++) {
        uint32_t number = STREAMS;
        read_exactly(near_ends[i], &number, sizeof number);
        CHECK(number == i);
        if (i % 2 == 0)
            OK(dcf_tb_stream_close(near_ends[i]));
    }
    CHECK(stats_of(client).streams_open == STREAMS / 2);
    OK(dcf_tb_close(client));
    OK(dcf_tb_close(server));
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    return 0;
}
