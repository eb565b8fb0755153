/*
  * An address without a route, on a link that is up, and on one that is down. The test that started
  * this program takes the carrier away.
 */
#include "process.h"

static const char *const unroutable[] = {"fd00::9", "2001:db8::1", "[fd00::9]:6000"};
enum { ADDRESSES = sizeof unroutable / sizeof unroutable[0] };

static void all_calls(dcf_tb_transport t, dcf_tb_status expected, const char *words)
{
    for (int i = 0; i < ADDRESSES; i++) {
        const char *peer = unroutable[i];
        dcf_tb_datagram datagram = {peer, (const uint8_t *)"x", 1};
        dcf_tb_stream stream = 0;
        dcf_tb_rtt summary;
        uint64_t rtt = 0;
        size_t count = 7;
        memset(&summary, 0, sizeof summary);
        summary.struct_size = sizeof summary;
        GIVES(expected, dcf_tb_send(t, peer, (const uint8_t *)"x", 1));
        CHECK(error_says(words));
        GIVES(expected, dcf_tb_send_batch(t, &datagram, 1, &count));
        CHECK(count == 0 && error_says(words));
        GIVES(expected, dcf_tb_measure_rtt(t, peer, GENEROUS_MS, &rtt));
        CHECK(error_says(words));
        GIVES(expected, dcf_tb_ping(t, peer, 1, 0, GENEROUS_MS, &summary));
        CHECK(error_says(words));
        GIVES(expected, dcf_tb_open_stream(t, peer, GENEROUS_MS, &stream));
        CHECK(error_says(words) && stream == 0);
    }
}

int main(void)
{
    for (int any = 0; any <= 1; any++) {
        dcf_tb_config config;
        OK(dcf_tb_config_init(&config, sizeof config));
        config.allow_any_source = (uint8_t)any;
        dcf_tb_transport t = start(&config);

        TOPIC("the link is up: calls report the missing route");
        all_calls(t, DCF_TB_ERR_HOST_UNREACHABLE, "thunderbolt0 is up");
        CHECK(dcf_tb_last_errno() == ENETUNREACH);
        CHECK(error_says("5001") || error_says("6000"));
        CHECK(stats_of(t).link_up == 1 && stats_of(t).link_changes == 0);

        TOPIC("the link is down: calls give LINK_DOWN");
        request("carrier off");
        EVENTUALLY(stats_of(t).link_up == 0);
        all_calls(t, DCF_TB_ERR_LINK_DOWN, "is down: no carrier");
        request("carrier on");
        EVENTUALLY(stats_of(t).link_up == 1);
        OK(dcf_tb_close(t));
    }
    return 0;
}
