/* Round trips: one, a series, many at once, from inside a callback, and without an answer. */
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static void one(dcf_tb_transport a, const char *peer)
{
    TOPIC("a round trip takes some time, and is in the statistics");
    uint64_t rtt = 0;
    for (int i = 0; i < 100; i++) {
        rtt = 0;
        OK(dcf_tb_measure_rtt(a, peer, GENEROUS_MS, &rtt));
        CHECK(rtt > 0 && rtt < (uint64_t)GENEROUS_MS * 1000000);
    }
    dcf_tb_stats stats = stats_of(a);
    CHECK(stats.last_rtt_ns == rtt);
    CHECK(stats.pings_sent == 100 && stats.pongs_received == 100);
    CHECK(stats.messages_sent == 0 && stats.messages_received == 0 && stats.bytes_sent == 0);
}

static void series(dcf_tb_transport a, const char *peer)
{
    TOPIC("a series and its summary");
    dcf_tb_rtt s;
    memset(&s, 0xAA, sizeof s);
    s.struct_size = sizeof s;
    OK(dcf_tb_ping(a, peer, 1000, 0, GENEROUS_MS, &s));
    CHECK(s.struct_size == sizeof s && s.sent == 1000 && s.received == 1000);
    CHECK(s.min_ns > 0 && s.min_ns <= s.mean_ns && s.mean_ns <= s.max_ns);
    CHECK(s.min_ns <= s.p50_ns && s.p50_ns <= s.p90_ns && s.p90_ns <= s.p99_ns);
    CHECK(s.p99_ns <= s.p999_ns && s.p999_ns <= s.max_ns);
    uint64_t start = milliseconds();
    OK(dcf_tb_ping(a, peer, 4, 20000, GENEROUS_MS, &s));
    CHECK(milliseconds() - start >= 59); /* three intervals of 20 ms */
    OK(dcf_tb_ping(a, peer, 1, 0, GENEROUS_MS, &s));
    CHECK(s.sent == 1 && s.received == 1 && s.min_ns == s.max_ns && s.mean_ns == s.min_ns);

    TOPIC("a series of 0 pings is out of range");
    GIVES(DCF_TB_ERR_OUT_OF_RANGE, dcf_tb_ping(a, peer, 0, 0, GENEROUS_MS, &s));
}

static void no_answer(dcf_tb_transport a)
{
    TOPIC("without an answer the call times out, and the summary is written");
    struct sockaddr_in6 address;
    socklen_t length = sizeof address;
    char peer[80];
    memset(&address, 0, sizeof address);
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    int mute = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(bind(mute, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(getsockname(mute, (struct sockaddr *)&address, &length) == 0);
    snprintf(peer, sizeof peer, "[::1%%lo]:%u", ntohs(address.sin6_port));

    uint64_t rtt = 77, start = milliseconds();
    dcf_tb_stats before = stats_of(a);
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_measure_rtt(a, peer, 50, &rtt));
    CHECK(milliseconds() - start >= 49);
    CHECK(error_says(peer));
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_measure_rtt(a, peer, 0, &rtt));
    CHECK(rtt == 77);
    dcf_tb_rtt s;
    memset(&s, 0xAA, sizeof s);
    s.struct_size = sizeof s;
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_ping(a, peer, 3, 0, 50, &s));
    CHECK(s.sent == 3 && s.received == 0);
    CHECK(stats_of(a).errors == before.errors);
    CHECK(stats_of(a).pings_sent == before.pings_sent + 5);
    CHECK(stats_of(a).pongs_received == before.pongs_received);
    close(mute);
}

typedef struct pinger {
    dcf_tb_transport transport;
    const char *peer;
} pinger;

static void *ping_often(void *argument)
{
    pinger *p = (pinger *)argument;
    for (int i = 0; i < 100; i++) {
        uint64_t rtt = 0;
        OK(dcf_tb_measure_rtt(p->transport, p->peer, GENEROUS_MS, &rtt));
        CHECK(rtt > 0);
    }
    return NULL;
}

static void at_once(dcf_tb_transport a, dcf_tb_transport b, const char *peer)
{
    TOPIC("eight threads measure at once, while messages flow");
    pinger p = {a, peer};
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        threads[i] = start_thread(ping_often, &p);
    for (int i = 0; i < 500; i++)
        send_text(a, peer, "traffic");
    for (int i = 0; i < 500; i++)
        expect_text(b, "traffic");
    for (int i = 0; i < 8; i++)
        join(threads[i]);
}

typedef struct inside {
    pinger target;
    int done;
} inside;

static void measure_inside(const uint8_t *message, size_t length, const char *sender, void *data)
{
    inside *i = (inside *)data;
    uint64_t rtt = 0;
    dcf_tb_rtt summary;
    (void)message, (void)length, (void)sender;
    summary.struct_size = sizeof summary;
    OK(dcf_tb_measure_rtt(i->target.transport, i->target.peer, GENEROUS_MS, &rtt));
    OK(dcf_tb_ping(i->target.transport, i->target.peer, 10, 0, GENEROUS_MS, &summary));
    CHECK(rtt > 0 && summary.received == 10);
    add(&i->done, 1);
}

static void all_with(uint32_t busy_poll_us)
{
    printf("- with busy polling for up to %u us\n", busy_poll_us);
    dcf_tb_config config = loopback_config();
    config.busy_poll_us = busy_poll_us;
    dcf_tb_transport a = start(&config), b = start(&config);
    const peers_of to = peer_strings(b);
    one(a, to.control);
    CHECK(stats_of(b).pings_answered == 100);
    series(a, to.control);
    no_answer(a);
    at_once(a, b, to.control);

    TOPIC("from inside the message callback");
    inside i = {{a, to.control}, 0};
    OK(dcf_tb_set_message_callback(a, measure_inside, &i));
    for (int n = 0; n < 5; n++)
        send_text(b, peer_strings(a).control, "measure");
    EVENTUALLY(value(&i.done) == 5);

    TOPIC("to ourselves");
    uint64_t rtt = 0;
    OK(dcf_tb_measure_rtt(b, "::1%lo", GENEROUS_MS, &rtt));

    TOPIC("the loopback interface has no peers to discover");
    dcf_tb_peer peers[4];
    size_t count = 77;
    OK(dcf_tb_discover(a, 30, peers, 4, &count));
    CHECK(count == 0);
    count = 77;
    OK(dcf_tb_discover_first(a, 30, peers, 4, &count));
    CHECK(count == 0);
    GIVES(DCF_TB_ERR_OUT_OF_RANGE, dcf_tb_discover_first(a, 30, peers, 0, &count));
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
}

int main(void)
{
    dcf_tb_config defaults = loopback_config();
    all_with(defaults.busy_poll_us);
    all_with(0);
    all_with(500);
    return 0;
}
