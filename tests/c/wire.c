/* The bytes on the wire, checked by a peer on plain sockets. */
#include "raw.h"

static uint8_t large[65507];

static void payload_is_all(dcf_tb_transport t, int raw, const char *peer)
{
    TOPIC("a datagram is exactly the payload, sent from the control port");
    struct sockaddr_in6 from;
    uint8_t data[16], received[32];
    for (size_t length = 0; length < sizeof data; length++) {
        fill(data, length, (uint32_t)length);
        OK(dcf_tb_send(t, peer, data, length));
        CHECK(raw_receive(raw, received, sizeof received, &from) == length);
        CHECK(memcmp(received, data, length) == 0);
        CHECK(ntohs(from.sin6_port) == control_port(t));
    }
}

static void batches_are_single_datagrams(dcf_tb_transport t, int raw, const char *peer)
{
    TOPIC("the messages of a batch are single datagrams on the wire");
    enum { COUNT = 150 };
    static dcf_tb_datagram batch[COUNT];
    static uint8_t data[COUNT][100];
    size_t sent = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        fill(data[i], sizeof data[i], i);
        batch[i].peer = peer;
        batch[i].data = data[i];
        batch[i].len = i == 77 ? 50 : sizeof data[i];
    }
    OK(dcf_tb_send_batch(t, batch, COUNT, &sent));
    CHECK(sent == COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        uint8_t received[200];
        struct sockaddr_in6 from;
        CHECK(raw_receive(raw, received, sizeof received, &from) == batch[i].len);
        CHECK(memcmp(received, data[i], batch[i].len) == 0);
        CHECK(ntohs(from.sin6_port) == control_port(t));
    }
}

static void pings_are_answered(dcf_tb_transport t, int raw, struct sockaddr_in6 to)
{
    TOPIC("a ping is answered with the same eight bytes, to its source");
    for (uint32_t i = 0; i < 100; i++) {
        uint8_t ping[16], pong[32];
        struct sockaddr_in6 from;
        memcpy(ping, PING, 8);
        fill(ping + 8, 8, i);
        raw_send(raw, ping, 16, to);
        CHECK(raw_receive(raw, pong, sizeof pong, &from) == 16);
        CHECK(memcmp(pong, PONG, 8) == 0);
        CHECK(memcmp(pong + 8, ping + 8, 8) == 0);
        CHECK(from.sin6_port == to.sin6_port);
    }
    EVENTUALLY(stats_of(t).pings_answered == 100);
    CHECK(stats_of(t).messages_received == 0);
}

static void what_is_a_message(dcf_tb_transport t, int raw, struct sockaddr_in6 to)
{
    TOPIC("pings and pongs are exactly 16 bytes: everything else is an ordinary message");
    uint8_t data[64], received[64];
    size_t length = 0;
    for (int kind = 0; kind < 2; kind++) {
        memset(data, 0x11, sizeof data);
        memcpy(data, kind ? PONG : PING, 8);
        for (size_t size = 8; size <= 64; size++) {
            raw_send(raw, data, size, to);
            if (size == 16)
                continue;
            OK(dcf_tb_recv(t, received, sizeof received, &length, NULL, 0, GENEROUS_MS));
            CHECK(length == size && memcmp(received, data, size) == 0);
        }
    }
    struct sockaddr_in6 from;
    CHECK(raw_receive(raw, received, sizeof received, &from) == 16); /* the answer to the ping */
    for (int bit = 0; bit < 64; bit++) {
        memcpy(data, PING, 8);
        data[bit / 8] = (uint8_t)(data[bit / 8] ^ 1 << bit % 8);
        raw_send(raw, data, 16, to);
        OK(dcf_tb_recv(t, received, sizeof received, &length, NULL, 0, GENEROUS_MS));
        CHECK(length == 16 && memcmp(received, data, 16) == 0);
    }

    TOPIC("the largest message arrives unchanged");
    static uint8_t whole[65507];
    fill(large, sizeof large, 3);
    raw_send(raw, large, sizeof large, to);
    OK(dcf_tb_recv(t, whole, sizeof whole, &length, NULL, 0, GENEROUS_MS));
    CHECK(length == sizeof large && memcmp(whole, large, sizeof large) == 0);
}

/* Answers the pings of one series, in one of two ways. */
typedef struct answerer {
    int raw, to_control_port, count;
    struct sockaddr_in6 control;
} answerer;

static void *answer(void *argument)
{
    answerer *a = (answerer *)argument;
    uint8_t seen[100][8];
    for (int i = 0; i < a->count; i++) {
        uint8_t ping[32];
        struct sockaddr_in6 from;
        CHECK(raw_receive(a->raw, ping, sizeof ping, &from) == 16);
        CHECK(memcmp(ping, PING, 8) == 0);
        memcpy(seen[i], ping + 8, 8);
        for (int j = 0; j < i; j++)
            CHECK(memcmp(seen[i], seen[j], 8) != 0);
        memcpy(ping, PONG, 8);
        raw_send(a->raw, ping, 16, a->to_control_port ? a->control : from);
        if (i % 7 == 0) /* once more: an unexpected pong */
            raw_send(a->raw, ping, 16, a->to_control_port ? a->control : from);
    }
    return NULL;
}

static void our_pings(dcf_tb_transport t, int raw, const char *peer, struct sockaddr_in6 control)
{
    for (int to_control_port = 0; to_control_port < 2; to_control_port++) {
        TOPIC(to_control_port ? "an answer to the control port counts, as older peers send it"
                              : "an answer to the source of the ping counts");
        answerer a = {raw, to_control_port, 50, control};
        dcf_tb_rtt summary;
        summary.struct_size = sizeof summary;
        pthread_t thread = start_thread(answer, &a);
        dcf_tb_stats before = stats_of(t);
        OK(dcf_tb_ping(t, peer, 50, 0, GENEROUS_MS, &summary));
        join(thread);
        CHECK(summary.sent == 50 && summary.received == 50);
        CHECK(stats_of(t).pongs_received == before.pongs_received + 50);

        TOPIC("neither this answer nor a second one is delivered as a message");
        raw_send(raw, "after", 5, control);
        expect_text(t, "after");
    }
}

static void streams_are_raw(dcf_tb_transport t)
{
    TOPIC("a stream is the written bytes, and a half-close is its end: incoming");
    struct sockaddr_in6 to = raw_address("::1", data_port(t));
    char text[16];
    size_t count = 0;
    dcf_tb_stream stream = 0;
    int raw = raw_socket(SOCK_STREAM, "::1", 0);
    CHECK(connect(raw, (struct sockaddr *)&to, sizeof to) == 0);
    CHECK(write(raw, "plain", 5) == 5);
    CHECK(shutdown(raw, SHUT_WR) == 0);
    OK(dcf_tb_accept(t, GENEROUS_MS, &stream));
    read_exactly(stream, text, 5);
    CHECK(memcmp(text, "plain", 5) == 0);
    GIVES(DCF_TB_EOF, dcf_tb_stream_read(stream, (uint8_t *)text, 1, GENEROUS_MS, &count));
    write_all(stream, "answer", 6);
    OK(dcf_tb_stream_close(stream));
    CHECK(recv(raw, text, sizeof text, MSG_WAITALL) == 6 && memcmp(text, "answer", 6) == 0);
    close(raw);

    TOPIC("and outward");
    char peer[80];
    int listener = raw_socket(SOCK_STREAM, "::1", 0);
    CHECK(listen(listener, 4) == 0);
    snprintf(peer, sizeof peer, "[::1%%lo]:%u", raw_port(listener));
    OK(dcf_tb_open_stream(t, peer, GENEROUS_MS, &stream));
    raw = accept(listener, NULL, NULL);
    CHECK(raw >= 0);
    write_all(stream, "out", 3);
    OK(dcf_tb_stream_finish(stream));
    CHECK(recv(raw, text, sizeof text, MSG_WAITALL) == 3 && memcmp(text, "out", 3) == 0);
    CHECK(write(raw, "in", 2) == 2);
    read_exactly(stream, text, 2);
    close(raw);
    close(listener);
    OK(dcf_tb_stream_close(stream));
}

int main(void)
{
    dcf_tb_transport t = start_on_loopback();
    int raw = raw_socket(SOCK_DGRAM, "::1", 0);
    struct sockaddr_in6 control = raw_address("::1", control_port(t));
    char peer[80];
    snprintf(peer, sizeof peer, "[::1%%lo]:%u", raw_port(raw));
    payload_is_all(t, raw, peer);
    batches_are_single_datagrams(t, raw, peer);
    pings_are_answered(t, raw, control);
    what_is_a_message(t, raw, control);
    our_pings(t, raw, peer, control);
    streams_are_raw(t);
    close(raw);
    OK(dcf_tb_close(t));
    return 0;
}
