/* Two hosts on one cable, with every setting at its default. Argument: the other host's address. */
#include "process.h"

static const char *peer;
static uint8_t out[8 << 20], in[8 << 20];

static void defaults(dcf_tb_transport t)
{
    TOPIC("a NULL config means the defaults");
    char name[16];
    size_t length = 0;
    OK(dcf_tb_interface(t, name, sizeof name, &length));
    CHECK(strcmp(name, "thunderbolt0") == 0);
    CHECK(control_port(t) == 5000 && data_port(t) == 5001);
    CHECK(stats_of(t).link_up == 1);
}

static void messages(dcf_tb_transport t)
{
    TOPIC("messages of every size to the other host and back, from a bare address");
    const size_t sizes[] = {0, 1, 16, 1500, 9000, 65000, 65507};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char sender[80];
        size_t length = 0;
        fill(out, sizes[i], (uint32_t)i);
        OK(dcf_tb_send(t, peer, out, sizes[i]));
        OK(dcf_tb_recv(t, in, sizeof in, &length, sender, sizeof sender, GENEROUS_MS));
        CHECK(length == sizes[i] && memcmp(in, out, length) == 0);
        CHECK(strcmp(sender, peer) == 0);
    }
    for (uint32_t round = 0; round < 10; round++) {
        static dcf_tb_datagram batch[100];
        static uint32_t numbers[100];
        size_t sent = 0, length = 0;
        for (uint32_t i = 0; i < 100; i++) {
            numbers[i] = round * 100 + i;
            batch[i].peer = peer;
            batch[i].data = (const uint8_t *)&numbers[i];
            batch[i].len = sizeof numbers[i];
        }
        OK(dcf_tb_send_batch(t, batch, 100, &sent));
        for (uint32_t i = 0; i < 100; i++) {
            OK(dcf_tb_recv(t, in, sizeof in, &length, NULL, 0, GENEROUS_MS));
            CHECK(length == sizeof i && memcmp(in, &numbers[i], length) == 0);
        }
    }
}

static void round_trips(dcf_tb_transport t)
{
    TOPIC("round trips");
    uint64_t rtt = 0;
    dcf_tb_rtt summary;
    summary.struct_size = sizeof summary;
    OK(dcf_tb_measure_rtt(t, peer, GENEROUS_MS, &rtt));
    CHECK(rtt > 0);
    OK(dcf_tb_ping(t, peer, 100, 0, GENEROUS_MS, &summary));
    CHECK(summary.received == 100);
}

static void *send_all(void *stream)
{
    dcf_tb_stream s = *(dcf_tb_stream *)stream;
    write_all(s, out, sizeof out);
    OK(dcf_tb_stream_finish(s));
    return NULL;
}

static void streams(dcf_tb_transport t)
{
    TOPIC("a stream to the other host and back, up to its end");
    dcf_tb_stream stream = 0;
    size_t count = 0;
    char name[80];
    fill(out, sizeof out, 9);
    OK(dcf_tb_open_stream(t, peer, 0, &stream));
    OK(dcf_tb_stream_peer(stream, name, sizeof name, &count));
    CHECK(strcmp(name, peer) == 0);
    pthread_t writer = start_thread(send_all, &stream);
    read_exactly(stream, in, sizeof in);
    CHECK(memcmp(in, out, sizeof in) == 0);
    GIVES(DCF_TB_EOF, dcf_tb_stream_read(stream, in, 1, GENEROUS_MS, &count));
    join(writer);
    OK(dcf_tb_stream_close(stream));

    TOPIC("a port without a listener refuses the connection");
    char closed[100];
    snprintf(closed, sizeof closed, "[%s]:7777", peer);
    GIVES(DCF_TB_ERR_CONNECTION_REFUSED, dcf_tb_open_stream(t, closed, GENEROUS_MS, &stream));

    TOPIC("a host that does not exist");
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_open_stream(t, "fe80::dead%thunderbolt0", 100, &stream));
    CHECK(error_says("fe80::dead%thunderbolt0"));
    uint64_t rtt = 0;
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_measure_rtt(t, "fe80::dead%thunderbolt0", 100, &rtt));
}

static void discovery(dcf_tb_transport t)
{
    TOPIC("discovery finds the other host and not this one, and waits the whole time");
    dcf_tb_peer peers[4];
    size_t count = 0;
    memset(peers, 0xAA, sizeof peers);
    uint64_t start = milliseconds();
    OK(dcf_tb_discover(t, 200, peers, 4, &count));
    CHECK(milliseconds() - start >= 199);
    CHECK(count == 1);
    CHECK(strcmp(peers[0].address, peer) == 0);
    CHECK(peers[0].rtt_ns > 0 && peers[0].rtt_ns < 200000000);
    send_text(t, peers[0].address, "found");
    expect_text(t, "found");

    TOPIC("discover_first returns at the first answer, which counts as the last round trip");
    memset(peers, 0xAA, sizeof peers);
    OK(dcf_tb_reset_stats(t));
    OK(dcf_tb_discover_first(t, DCF_TB_WAIT_FOREVER, peers, 1, &count));
    CHECK(count == 1 && strcmp(peers[0].address, peer) == 0 && peers[0].rtt_ns > 0);
    CHECK(stats_of(t).pongs_received >= 1 && stats_of(t).last_rtt_ns > 0);
    start = milliseconds();
    OK(dcf_tb_discover_first(t, 200, peers, 2, &count));
    CHECK(count == 1 && milliseconds() - start >= 199);

    TOPIC("more hosts than room: as many as fit, and the total");
    count = 0;
    GIVES(DCF_TB_ERR_BUFFER_TOO_SMALL, dcf_tb_discover(t, 200, peers, 0, &count));
    CHECK(count == 1);
    GIVES(DCF_TB_ERR_BUFFER_TOO_SMALL, dcf_tb_discover(t, 200, NULL, 0, &count));
    CHECK(count == 1);
}

static int opening_thread;

static void *open_to_absent_host(void *transport)
{
    dcf_tb_stream stream = 0;
    set(&opening_thread, gettid());
    GIVES(DCF_TB_CANCELLED,
          dcf_tb_open_stream(*(dcf_tb_transport *)transport, "fe80::dead%thunderbolt0",
                             DCF_TB_WAIT_FOREVER, &stream));
    return NULL;
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    peer = arguments[1];
    dcf_tb_transport t = start(NULL);
    defaults(t);
    messages(t);
    round_trips(t);
    streams(t);
    discovery(t);

    TOPIC("close wakes a call that waits for a connection");
    pthread_t opening = start_thread(open_to_absent_host, &t);
    EVENTUALLY(asleep(value(&opening_thread)));
    OK(dcf_tb_close(t));
    join(opening);
    return 0;
}
