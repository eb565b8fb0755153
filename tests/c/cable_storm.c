/*
  * Traffic of every kind while the cable is pulled and plugged in again. Calls may only fail with
  * statuses of a link that is down or was lost, and in the end everything works. Argument: the other
  * host's address.
 */
#include "process.h"

static const char *peer;
static dcf_tb_transport t;
static int stop, messages, opened;

/* Accepts the statuses that a call may return while the cable is pulled and plugged in. */
static void tolerate(const char *call, int line, dcf_tb_status status)
{
    switch (status) {
    case DCF_TB_OK: case DCF_TB_EOF: case DCF_TB_ERR_LINK_DOWN: case DCF_TB_ERR_TIMEOUT:
    case DCF_TB_ERR_CONNECTION_RESET: case DCF_TB_ERR_CONNECTION_ABORTED:
    case DCF_TB_ERR_CONNECTION_REFUSED: case DCF_TB_ERR_BROKEN_PIPE:
    case DCF_TB_ERR_HOST_UNREACHABLE: case DCF_TB_ERR_QUEUE_FULL:
        return;
    default:
        check_failed(__FILE__, line, call, "a status of a link that is down or was lost", status);
    }
}

#define TOLERATE(call) tolerate(#call, __LINE__, (call))

static void on_message(const uint8_t *message, size_t length, const char *sender, void *data)
{
    (void)message, (void)length, (void)data;
    CHECK(strcmp(sender, peer) == 0);
    add(&messages, 1);
}

static void *send_messages(void *unused)
{
    static const uint8_t data[1000] = {0};
    while (!value(&stop)) {
        dcf_tb_datagram batch[8];
        size_t sent = 0;
        for (size_t i = 0; i < 8; i++) {
            batch[i].peer = peer;
            batch[i].data = data;
            batch[i].len = sizeof data;
        }
        TOLERATE(dcf_tb_send(t, peer, data, sizeof data));
        TOLERATE(dcf_tb_send_batch(t, batch, 8, &sent));
        pause_briefly();
    }
    return unused;
}

static void *measure(void *unused)
{
    while (!value(&stop)) {
        uint64_t rtt = 0;
        TOLERATE(dcf_tb_measure_rtt(t, peer, 100, &rtt));
        pause_briefly();
    }
    return unused;
}

static void *use_streams(void *unused)
{
    static const uint8_t data[1000] = {0};
    while (!value(&stop)) {
        dcf_tb_stream stream = 0;
        dcf_tb_status status = dcf_tb_open_stream(t, peer, 1000, &stream);
        TOLERATE(status);
        pause_briefly();
        if (status != DCF_TB_OK)
            continue;
        add(&opened, 1);
        for (int i = 0; i < 50 && status == DCF_TB_OK; i++) {
            uint8_t back[1000];
            size_t count = 0;
            status = dcf_tb_stream_write(stream, data, sizeof back, GENEROUS_MS, &count);
            TOLERATE(status);
            if (status == DCF_TB_OK) {
                status = dcf_tb_stream_read(stream, back, sizeof back, GENEROUS_MS, &count);
                TOLERATE(status);
            }
        }
        OK(dcf_tb_stream_close(stream));
    }
    return unused;
}

static void *discover(void *unused)
{
    while (!value(&stop)) {
        dcf_tb_peer found[2];
        size_t count = 0;
        TOLERATE(dcf_tb_discover(t, 10, found, 2, &count));
        CHECK(count <= 1);
    }
    return unused;
}

/* Checks that messages and streams get through. */
static void flows(void)
{
    int messages_before = value(&messages), opened_before = value(&opened);
    EVENTUALLY(value(&messages) > messages_before && value(&opened) > opened_before);
}

/* Runs traffic while the cable is pulled and plugged in `rounds` times, then stops it. */
static void cycles(int rounds)
{
    void *(*const work[])(void *) = {send_messages, measure, use_streams, use_streams, discover};
    enum { THREADS = sizeof work / sizeof work[0] };
    pthread_t threads[THREADS];
    set(&stop, 0);
    for (int i = 0; i < THREADS; i++)
        threads[i] = start_thread(work[i], NULL);
    for (int round = 0; round < rounds; round++) {
        flows();
        request("unplug");
        request("plug");
        if (round % 4 == 0) {
            flows();
            request("carrier off");
            request("carrier on");
        }
    }
    flows();
    set(&stop, 1);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    EVENTUALLY(stats_of(t).streams_open == 0);
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    peer = arguments[1];
    dcf_tb_config config;
    OK(dcf_tb_config_init(&config, sizeof config));
    config.on_message = on_message;
    t = start(&config);
    cycles(3);
    int descriptors = count_descriptors(), own_threads = count_threads();
    uint64_t memory = status_value(0, "RssAnon", 10), changes = stats_of(t).link_changes;

    TOPIC("twenty plug cycles under load leak no descriptors and no threads");
    cycles(20);
    CHECK(stats_of(t).link_changes >= changes + 40);
    printf("  descriptors %d, then %d; threads %d, then %d; KiB of memory %" PRIu64 ", then %" PRIu64
           "\n", descriptors, count_descriptors(), own_threads, count_threads(), memory,
           status_value(0, "RssAnon", 10));
    /* The transport may keep a pooled socket for round trips, or not. */
    EVENTUALLY(count_descriptors() <= descriptors + 2 && count_threads() <= own_threads);
    CHECK(status_value(0, "RssAnon", 10) <= memory + 4096);
    OK(dcf_tb_close(t));
    EVENTUALLY(each_library_thread(NULL, NULL) == 0);
    return 0;
}
