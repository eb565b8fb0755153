/*
  * Which sources are served: only link-local and loopback ones, unless allow_any_source is set; and
  * which pongs count. The loopback interface has the addresses fe80::5 and fd00::5 here as well.
 */
#include "raw.h"

static void refused(dcf_tb_transport t)
{
    TOPIC("a source that is neither link-local nor loopback is refused, and counted");
    struct sockaddr_in6 control = raw_address("::1", control_port(t));
    int outside = raw_socket(SOCK_DGRAM, "fd00::5", 0);
    uint8_t ping[16] = {0};
    memcpy(ping, PING, 8);
    raw_send(outside, "let me in", 9, control);
    raw_send(outside, ping, sizeof ping, control);
    EVENTUALLY(stats_of(t).rejected == 2);
    CHECK(stats_of(t).pings_answered == 0);
    CHECK(recv(outside, ping, sizeof ping, MSG_DONTWAIT) == -1);
    close(outside);

    TOPIC("a link-local source is served");
    int inside = raw_socket(SOCK_DGRAM, "fe80::5", 0);
    raw_send(inside, "from fe80", 9, control);
    expect_text(t, "from fe80");
    close(inside);

    TOPIC("the same for streams");
    struct sockaddr_in6 data = raw_address("::1", data_port(t));
    dcf_tb_stream stream = 0;
    char byte;
    outside = raw_socket(SOCK_STREAM, "fd00::5", 0);
    if (connect(outside, (struct sockaddr *)&data, sizeof data) == 0)
        CHECK(recv(outside, &byte, 1, 0) <= 0);
    EVENTUALLY(stats_of(t).rejected == 3);
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_accept(t, 0, &stream));
    close(outside);
    inside = raw_socket(SOCK_STREAM, "fe80::5", 0);
    CHECK(connect(inside, (struct sockaddr *)&data, sizeof data) == 0);
    OK(dcf_tb_accept(t, GENEROUS_MS, &stream));
    char peer[80];
    size_t length = 0;
    OK(dcf_tb_stream_peer(stream, peer, sizeof peer, &length));
    CHECK(strcmp(peer, "fe80::5%lo") == 0);
    OK(dcf_tb_stream_close(stream));
    close(inside);
}

static void allowed(void)
{
    TOPIC("with allow_any_source every source is served, and its sender string can be used");
    dcf_tb_config config = loopback_config();
    config.allow_any_source = 1;
    dcf_tb_transport t = start(&config);
    struct sockaddr_in6 control = raw_address("::1", control_port(t)), from;
    int outside = raw_socket(SOCK_DGRAM, "fd00::5", 0);
    uint8_t text[16];
    char sender[80];
    size_t length = 0;
    raw_send(outside, "let me in", 9, control);
    OK(dcf_tb_recv(t, text, sizeof text, &length, sender, sizeof sender, GENEROUS_MS));
    CHECK(length == 9 && stats_of(t).rejected == 0);
    CHECK(strstr(sender, "fd00::5") != NULL);
    send_text(t, sender, "come in");
    CHECK(raw_receive(outside, text, sizeof text, &from) == 7);
    close(outside);
    outside = raw_socket(SOCK_STREAM, "fd00::5", 0);
    struct sockaddr_in6 data = raw_address("::1", data_port(t));
    dcf_tb_stream stream = 0;
    CHECK(connect(outside, (struct sockaddr *)&data, sizeof data) == 0);
    OK(dcf_tb_accept(t, GENEROUS_MS, &stream));
    OK(dcf_tb_stream_close(stream));
    close(outside);
    OK(dcf_tb_close(t));
}

static void changed(void)
{
    TOPIC("allow_any_source changes while the transport runs; open streams stay");
    dcf_tb_transport t = start_on_loopback();
    struct sockaddr_in6 control = raw_address("::1", control_port(t));
    struct sockaddr_in6 data = raw_address("::1", data_port(t));
    int outside = raw_socket(SOCK_DGRAM, "fd00::5", 0);
    raw_send(outside, "one", 3, control);
    EVENTUALLY(stats_of(t).rejected == 1);
    OK(dcf_tb_set_option(t, DCF_TB_OPTION_ALLOW_ANY_SOURCE, 1));
    raw_send(outside, "two", 3, control);
    expect_text(t, "two");
    int connection = raw_socket(SOCK_STREAM, "fd00::5", 0);
    dcf_tb_stream stream = 0;
    CHECK(connect(connection, (struct sockaddr *)&data, sizeof data) == 0);
    OK(dcf_tb_accept(t, GENEROUS_MS, &stream));
    OK(dcf_tb_set_option(t, DCF_TB_OPTION_ALLOW_ANY_SOURCE, 0));
    raw_send(outside, "three", 5, control);
    EVENTUALLY(stats_of(t).rejected == 2);
    char text[4];
    CHECK(send(connection, "four", 4, 0) == 4);
    read_exactly(stream, text, 4);
    CHECK(memcmp(text, "four", 4) == 0);
    OK(dcf_tb_close(t));
    close(connection);
    close(outside);
}

/* Answers one ping, first from another address if `other` is set. */
typedef struct answerer {
    int asked, other;
} answerer;

static void *answer_from_elsewhere(void *argument)
{
    answerer *a = (answerer *)argument;
    uint8_t ping[16];
    struct sockaddr_in6 from;
    for (int i = 0; i < 3; i++) {
        CHECK(raw_receive(a->asked, ping, sizeof ping, &from) == 16);
        memcpy(ping, PONG, 8);
        raw_send(a->other, ping, sizeof ping, from);
    }
    return NULL;
}

static void pongs_from_elsewhere(dcf_tb_transport t)
{
    TOPIC("a pong from another address than the pinged one does not count");
    answerer a = {raw_socket(SOCK_DGRAM, "::1", 0), raw_socket(SOCK_DGRAM, "fe80::5", 0)};
    char peer[80];
    dcf_tb_rtt summary;
    summary.struct_size = sizeof summary;
    snprintf(peer, sizeof peer, "[::1%%lo]:%u", raw_port(a.asked));
    dcf_tb_stats before = stats_of(t);
    pthread_t thread = start_thread(answer_from_elsewhere, &a);
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_ping(t, peer, 3, 0, 100, &summary));
    join(thread);
    CHECK(summary.sent == 3 && summary.received == 0);
    CHECK(stats_of(t).pongs_received == before.pongs_received);
    close(a.asked);
    close(a.other);
}

int main(void)
{
    dcf_tb_transport t = start_on_loopback();
    refused(t);
    allowed();
    changed();
    pongs_from_elsewhere(t);
    OK(dcf_tb_close(t));
    return 0;
}
