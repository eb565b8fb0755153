/* Many messages in one call. */
#include "check.h"

enum { MOST = 1000 };
static dcf_tb_datagram datagrams[MOST];
static uint8_t payload[MOST][64];
static uint8_t large[65507];

static uint32_t number_at(dcf_tb_transport t, size_t *length)
{
    uint8_t buffer[65507];
    uint32_t number = 0;
    OK(dcf_tb_recv(t, buffer, sizeof buffer, length, NULL, 0, GENEROUS_MS));
    CHECK(*length >= sizeof number);
    memcpy(&number, buffer, sizeof number);
    return number;
}

static void same_size(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("a thousand messages of one size, to one peer, in order");
    const peers_of to = peer_strings(b);
    size_t sent = 0;
    for (uint32_t i = 0; i < MOST; i++) {
        memcpy(payload[i], &i, sizeof i);
        datagrams[i].peer = to.control;
        datagrams[i].data = payload[i];
        datagrams[i].len = 64;
    }
    OK(dcf_tb_send_batch(a, datagrams, MOST, &sent));
    CHECK(sent == MOST);
    for (uint32_t i = 0; i < MOST; i++) {
        size_t length = 0;
        CHECK(number_at(b, &length) == i);
        CHECK(length == 64);
    }
    CHECK(stats_of(a).messages_sent == MOST && stats_of(a).bytes_sent == MOST * 64);
}

static void mixed(dcf_tb_transport a, dcf_tb_transport b, dcf_tb_transport c)
{
    TOPIC("any mix of peers and sizes: each peer gets its messages, whole and in order");
    const peers_of to[2] = {peer_strings(b), peer_strings(c)};
    const size_t sizes[] = {4, 64, 64, 17, 16, 64, 5, 33};
    size_t sent = 0, length = 0;
    for (uint32_t i = 0; i < MOST; i++) {
        memcpy(payload[i], &i, sizeof i);
        datagrams[i].peer = to[(i / 3) % 2].control;
        datagrams[i].data = payload[i];
        datagrams[i].len = sizes[i % 8];
    }
    OK(dcf_tb_send_batch(a, datagrams, MOST, &sent));
    CHECK(sent == MOST);
    for (uint32_t i = 0; i < MOST; i++) {
        CHECK(number_at((i / 3) % 2 == 0 ? b : c, &length) == i);
        CHECK(length == sizes[i % 8]);
    }

    TOPIC("the largest and the empty message in one batch");
    fill(large, sizeof large, 1);
    for (int i = 0; i < 3; i++) {
        datagrams[i].peer = to[0].control;
        datagrams[i].data = i == 1 ? NULL : large;
        datagrams[i].len = i == 1 ? 0 : sizeof large;
    }
    OK(dcf_tb_send_batch(a, datagrams, 3, &sent));
    CHECK(sent == 3);
    for (int i = 0; i < 3; i++) {
        static uint8_t buffer[65507];
        OK(dcf_tb_recv(b, buffer, sizeof buffer, &length, NULL, 0, GENEROUS_MS));
        CHECK(length == (i == 1 ? 0 : sizeof large));
        CHECK(memcmp(buffer, large, length) == 0);
    }
}

static void bad_entries(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("an entry that cannot be sent: *sent is the number of messages sent before it");
    const peers_of to = peer_strings(b);
    for (size_t bad = 0; bad < 5; bad++) {
        size_t sent = 77, length = 0;
        for (uint32_t i = 0; i < 5; i++) {
            memcpy(payload[i], &i, sizeof i);
            datagrams[i].peer = i == bad ? "nonsense" : to.control;
            datagrams[i].data = payload[i];
            datagrams[i].len = 8;
        }
        GIVES(DCF_TB_ERR_INVALID_ADDRESS, dcf_tb_send_batch(a, datagrams, 5, &sent));
        CHECK(error_says("nonsense"));
        CHECK(sent == bad);
        datagrams[bad].peer = to.control;
        datagrams[bad].len = 65508;
        sent = 77;
        GIVES(DCF_TB_ERR_MESSAGE_TOO_LARGE, dcf_tb_send_batch(a, datagrams, 5, &sent));
        CHECK(sent == bad);
        send_text(a, to.control, "\xFF\xFF\xFF\xFF");
        for (int round = 0; round < 2; round++)
            for (uint32_t i = 0; i < bad; i++)
                CHECK(number_at(b, &length) == i);
        CHECK(number_at(b, &length) == UINT32_MAX);
    }
}

int main(void)
{
    dcf_tb_transport a = start_on_loopback(), b = start_on_loopback(), c = start_on_loopback();
    same_size(a, b);
    mixed(a, b, c);
    bad_entries(a, b);
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
    OK(dcf_tb_close(c));
    return 0;
}
