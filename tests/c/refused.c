/*
  * A peer on which no program runs, and an address that no host has. Round trips report the kernels'
  * ICMP errors, and messages are sent anyway.
 */
#include "process.h"

static const char *peer;

/* Kernels limit ICMP errors, and drop some when they are busy, so a single round trip may get none. */
static int refuses(dcf_tb_transport t, const char *to)
{
    uint64_t rtt = 77;
    dcf_tb_status status = dcf_tb_measure_rtt(t, to, 300, &rtt);
    CHECK(rtt == 77);
    CHECK(status == DCF_TB_ERR_CONNECTION_REFUSED || status == DCF_TB_ERR_TIMEOUT);
    return status == DCF_TB_ERR_CONNECTION_REFUSED;
}

static void send_much(dcf_tb_transport t, const char *to)
{
    dcf_tb_datagram batch[16];
    size_t sent = 0;
    for (int i = 0; i < 16; i++) {
        batch[i].peer = to;
        batch[i].data = (const uint8_t *)"message";
        batch[i].len = 7;
    }
    for (int i = 0; i < 600; i++)
        OK(dcf_tb_send(t, to, (const uint8_t *)"message", 7));
    for (int i = 0; i < 20; i++) {
        OK(dcf_tb_send_batch(t, batch, 16, &sent));
        CHECK(sent == 16);
    }
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    peer = arguments[1];
    dcf_tb_config config;
    OK(dcf_tb_config_init(&config, sizeof config));
    dcf_tb_transport t = start(&config);

    TOPIC("a peer on which no program runs refuses a round trip");
    EVENTUALLY(refuses(t, peer));
    CHECK(dcf_tb_last_errno() == ECONNREFUSED);
    CHECK(error_says(peer) && error_says("nothing listens on UDP port 5000"));
    CHECK(stats_of(t).pings_undelivered == 1);

    TOPIC("so does a series, and its summary is written");
    dcf_tb_rtt summary;
    memset(&summary, 0xAA, sizeof summary);
    summary.struct_size = sizeof summary;
    GIVES(DCF_TB_ERR_CONNECTION_REFUSED, dcf_tb_ping(t, peer, UINT32_MAX, 100000, 300, &summary));
    CHECK(summary.sent > 0 && summary.sent < 1000 && summary.received == 0 && summary.max_ns == 0);
    CHECK(error_says(peer));

    TOPIC("messages are sent despite the errors");
    send_much(t, peer);
    EVENTUALLY(refuses(t, peer));
    char other[100];
    snprintf(other, sizeof other, "[%s]:6000", peer);
    EVENTUALLY(refuses(t, other));
    CHECK(error_says("UDP port 6000"));

    TOPIC("an address that no host has is unreachable");
    const char *nobody = "fe80::dead%thunderbolt0";
    uint64_t rtt = 77;
    EVENTUALLY(dcf_tb_measure_rtt(t, nobody, 5000, &rtt) == DCF_TB_ERR_HOST_UNREACHABLE);
    CHECK(dcf_tb_last_errno() == EHOSTUNREACH && error_says("fe80::dead%thunderbolt0"));
    memset(&summary, 0xAA, sizeof summary);
    summary.struct_size = sizeof summary;
    GIVES(DCF_TB_ERR_HOST_UNREACHABLE, dcf_tb_ping(t, nobody, 2, 0, GENEROUS_MS, &summary));
    CHECK(summary.sent == 1 && summary.received == 0);
    send_much(t, nobody);

    dcf_tb_stats stats = stats_of(t);
    CHECK(stats.messages_sent == 2 * (600 + 320));
    CHECK(stats.link_up == 1 && stats.link_changes == 0);
    OK(dcf_tb_close(t));
    return 0;
}
