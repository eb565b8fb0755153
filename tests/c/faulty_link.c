/*
  * A link that loses and corrupts packets, and one that goes silent while its carrier stays. The test
  * that started this program sets the faults when asked. Argument: the other host's address.
 */
#include "check.h"

/* Pings of a series: enough that some are lost, but not all. */
enum { PINGS = 100 };

static const char *peer;

/* A call that waits while the link is cut. */
typedef struct waiter {
    dcf_tb_stream stream;
    dcf_tb_status status;
} waiter;

static void *keep_reading(void *argument)
{
    waiter *w = (waiter *)argument;
    uint8_t buffer[4096];
    size_t count;
    do {
        w->status = dcf_tb_stream_read(w->stream, buffer, sizeof buffer, GENEROUS_MS, &count);
    } while (w->status == DCF_TB_OK);
    return NULL;
}

static void *keep_writing(void *argument)
{
    static const uint8_t data[1 << 16];
    waiter *w = (waiter *)argument;
    size_t count;
    do {
        w->status = dcf_tb_stream_write(w->stream, data, sizeof data, GENEROUS_MS, &count);
    } while (w->status == DCF_TB_OK);
    return NULL;
}

static void stream_echoes(dcf_tb_stream stream, size_t length)
{
    uint8_t *sent = (uint8_t *)malloc(length), *received = (uint8_t *)malloc(length);
    CHECK(sent != NULL && received != NULL);
    fill(sent, length, 1);
    write_all(stream, sent, length);
    read_exactly(stream, received, length);
    CHECK(memcmp(sent, received, length) == 0);
    free(sent);
    free(received);
}

static dcf_tb_stream open_stream(dcf_tb_transport t)
{
    dcf_tb_stream stream = 0;
    OK(dcf_tb_open_stream(t, peer, GENEROUS_MS, &stream));
    return stream;
}

static dcf_tb_status ping(dcf_tb_transport t, uint32_t timeout_ms, dcf_tb_rtt *summary)
{
    memset(summary, 0, sizeof *summary);
    summary->struct_size = sizeof *summary;
    return dcf_tb_ping(t, peer, PINGS, 1000, timeout_ms, summary);
}

static void lossy(dcf_tb_transport t)
{
    request("lose");
    TOPIC("a lossy link: a stream delivers every byte");
    dcf_tb_stream stream = open_stream(t);
    stream_echoes(stream, 500000);
    OK(dcf_tb_stream_close(stream));

    TOPIC("a series counts the answers, and a single round trip succeeds or times out");
    dcf_tb_rtt summary;
    OK(ping(t, 1000, &summary));
    CHECK(summary.sent == PINGS && summary.received > 0 && summary.received < PINGS);
    for (int i = 0; i < 20; i++) {
        uint64_t rtt = 0;
        dcf_tb_status status = dcf_tb_measure_rtt(t, peer, 20, &rtt);
        CHECK(status == DCF_TB_OK ? rtt > 0 : status == DCF_TB_ERR_TIMEOUT && rtt == 0);
    }

    TOPIC("a message arrives whole or not at all");
    int back = 0;
    for (int i = 0; i < 50; i++) {
        uint8_t sent[1000], received[1000];
        size_t length = 0;
        fill(sent, sizeof sent, 2);
        OK(dcf_tb_send(t, peer, sent, sizeof sent));
        dcf_tb_status status =
            dcf_tb_recv(t, received, sizeof received, &length, NULL, 0, 20);
        if (status == DCF_TB_OK) {
            back++;
            CHECK(length == sizeof sent && memcmp(sent, received, length) == 0);
        } else {
            CHECK(status == DCF_TB_ERR_TIMEOUT);
        }
    }
    CHECK(back > 0);
    CHECK(stats_of(t).errors == 0);
    request("mend");
}

/* The stream was aborted: neither EOF nor TIMEOUT, which is for the call's own limit. */
#define CHECK_BROKEN(status) GIVES(DCF_TB_ERR_CONNECTION_ABORTED, status)

static void silent(dcf_tb_transport t)
{
    dcf_tb_stream idle = open_stream(t), one_way = open_stream(t), both_ways = open_stream(t);
    stream_echoes(idle, 1);
    stream_echoes(one_way, 1);
    stream_echoes(both_ways, 1);
    request("cut");

    TOPIC("a silent peer: a waiting reader gets the error, and so do a reader and a writer of one stream");
    waiter waiters[] = {{one_way, DCF_TB_OK}, {both_ways, DCF_TB_OK}, {both_ways, DCF_TB_OK}};
    pthread_t threads[] = {
        start_thread(keep_reading, &waiters[0]),
        start_thread(keep_reading, &waiters[1]),
        start_thread(keep_writing, &waiters[2]),
    };
    for (int i = 0; i < 3; i++) {
        join(threads[i]);
        CHECK_BROKEN(waiters[i].status);
    }

    TOPIC("later calls get the same error, every time");
    const dcf_tb_stream streams[] = {idle, one_way, both_ways};
    for (int i = 0; i < 3; i++) {
        waiter late = {streams[i], DCF_TB_OK};
        for (int again = 0; again < 2; again++) {
            (void)keep_reading(&late);
            CHECK_BROKEN(late.status);
            CHECK(dcf_tb_last_errno() != 0);
            (void)keep_writing(&late);
            CHECK_BROKEN(late.status);
        }
        OK(dcf_tb_stream_close(streams[i]));
    }

    TOPIC("all other calls wait for their own timeouts");
    dcf_tb_stream stream = 0;
    dcf_tb_rtt summary;
    dcf_tb_peer found;
    uint64_t rtt = 0;
    size_t count = 1;
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_open_stream(t, peer, 200, &stream));
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_measure_rtt(t, peer, 200, &rtt));
    GIVES(DCF_TB_ERR_TIMEOUT, ping(t, 200, &summary));
    CHECK(summary.sent == PINGS && summary.received == 0);
    OK(dcf_tb_discover(t, 200, &found, 1, &count));
    CHECK(count == 0);
    send_text(t, peer, "lost");
    CHECK(stats_of(t).link_up == 1);

    TOPIC("the same transport works again when the peer is back");
    request("mend");
    OK(dcf_tb_measure_rtt(t, peer, GENEROUS_MS, &rtt));
    stream = open_stream(t);
    stream_echoes(stream, 100000);
    OK(dcf_tb_stream_close(stream));
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    peer = arguments[1];
    dcf_tb_config config;
    OK(dcf_tb_config_init(&config, sizeof config));
    dcf_tb_transport t = start(&config);
    lossy(t);
    OK(dcf_tb_close(t));
    config.stream_dead_after_ms = 1000;
    t = start(&config);
    silent(t);
    OK(dcf_tb_close(t));
    return 0;
}
