/* Structs of other sizes, and settings that are refused. */
#include "check.h"

#include <stddef.h>

/* The config of an imaginary later version. */
typedef struct later_config {
    dcf_tb_config now;
    uint8_t later[64];
} later_config;

typedef struct later_stats {
    dcf_tb_stats now;
    uint8_t later[64];
} later_stats;

static int all_bytes(const void *memory, size_t length, uint8_t byte)
{
    for (size_t i = 0; i < length; i++)
        if (((const uint8_t *)memory)[i] != byte)
            return 0;
    return 1;
}

static void init_of_other_sizes(void)
{
    TOPIC("config_init writes exactly the size of the caller's struct");
    later_config config;
    memset(&config, 0xAA, sizeof config);
    size_t older = offsetof(dcf_tb_config, max_streams);
    OK(dcf_tb_config_init(&config.now, older));
    CHECK(config.now.struct_size == older);
    CHECK(config.now.receive_queue == 1024);
    CHECK(all_bytes((uint8_t *)&config + older, sizeof config - older, 0xAA));

    TOPIC("config_init clears members that this version does not know");
    memset(&config, 0xAA, sizeof config);
    OK(dcf_tb_config_init(&config.now, sizeof config));
    CHECK(config.now.struct_size == sizeof config);
    CHECK(all_bytes(config.later, sizeof config.later, 0));

    TOPIC("config_init refuses an impossible size");
    GIVES(DCF_TB_ERR_CONFIG_INVALID, dcf_tb_config_init(&config.now, 0));
    GIVES(DCF_TB_ERR_CONFIG_INVALID, dcf_tb_config_init(&config.now, 3));
}

static void configs_of_other_sizes(void)
{
    dcf_tb_transport transport = 0;
    later_config config;

    TOPIC("an older, smaller config is accepted, with defaults for the missing members");
    memset(&config, 0xAA, sizeof config);
    config.now = loopback_config();
    config.now.max_streams = 0xAAAAAAAA;
    config.now.log_level = 0x0BAD;
    config.now.struct_size = (uint32_t)offsetof(dcf_tb_config, max_streams);
    OK(dcf_tb_init(&config.now, &transport));
    OK(dcf_tb_close(transport));

    TOPIC("a newer, larger config is accepted if its unknown members are zero");
    memset(&config, 0, sizeof config);
    config.now = loopback_config();
    config.now.struct_size = sizeof config;
    OK(dcf_tb_init(&config.now, &transport));
    OK(dcf_tb_close(transport));

    TOPIC("a newer, larger config is refused if an unknown member is set");
    for (size_t i = 0; i < sizeof config.later; i++) {
        memset(&config.later, 0, sizeof config.later);
        config.later[i] = 1;
        GIVES(DCF_TB_ERR_CONFIG_INVALID, dcf_tb_init(&config.now, &transport));
    }

    TOPIC("a config without a size is refused");
    config.now.struct_size = 0;
    GIVES(DCF_TB_ERR_CONFIG_INVALID, dcf_tb_init(&config.now, &transport));
}

static void outputs_of_other_sizes(void)
{
    dcf_tb_transport transport = start_on_loopback();
    later_stats stats;

    TOPIC("older stats are written up to their size");
    memset(&stats, 0xAA, sizeof stats);
    size_t older = offsetof(dcf_tb_stats, bytes_sent);
    stats.now.struct_size = (uint32_t)older;
    OK(dcf_tb_get_stats(transport, &stats.now));
    CHECK(stats.now.struct_size == older);
    CHECK(stats.now.link_up == 1 && stats.now.messages_sent == 0);
    CHECK(all_bytes((uint8_t *)&stats + older, sizeof stats - older, 0xAA));

    TOPIC("newer stats keep their size and their unknown members");
    memset(&stats, 0xAA, sizeof stats);
    stats.now.struct_size = sizeof stats;
    OK(dcf_tb_get_stats(transport, &stats.now));
    CHECK(stats.now.struct_size == sizeof stats);
    CHECK(stats.now.udp_receive_buffer > 0);
    CHECK(all_bytes(stats.later, sizeof stats.later, 0xAA));

    TOPIC("an older summary of pings is written up to its size");
    dcf_tb_rtt rtt;
    memset(&rtt, 0xAA, sizeof rtt);
    older = offsetof(dcf_tb_rtt, p50_ns);
    rtt.struct_size = (uint32_t)older;
    OK(dcf_tb_ping(transport, "::1%lo", 3, 0, GENEROUS_MS, &rtt));
    CHECK(rtt.struct_size == older);
    CHECK(rtt.sent == 3 && rtt.received == 3 && rtt.min_ns > 0 && rtt.mean_ns >= rtt.min_ns);
    CHECK(all_bytes((uint8_t *)&rtt + older, sizeof rtt - older, 0xAA));
    OK(dcf_tb_close(transport));
}

static void bad_values(void)
{
    dcf_tb_transport transport = 77;
    const int32_t levels[] = {0, 5, -1, INT32_MAX, INT32_MIN};

    TOPIC("an unknown log level is refused");
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        dcf_tb_config config = loopback_config();
        config.log_level = levels[i];
        GIVES(DCF_TB_ERR_CONFIG_INVALID, dcf_tb_init(&config, &transport));
    }

    TOPIC("the error names an interface that does not exist");
    dcf_tb_config missing = loopback_config();
    missing.interface_name = "no-such-if0";
    GIVES(DCF_TB_ERR_INTERFACE_NOT_FOUND, dcf_tb_init(&missing, &transport));
    CHECK(error_says("no-such-if0"));

    TOPIC("an impossible interface name is refused");
    const char *bad_names[] = {"", "a/b", "\xFF\xFE", "a b", "longer-than-any-interface"};
    for (size_t i = 0; i < sizeof bad_names / sizeof bad_names[0]; i++) {
        dcf_tb_config config = loopback_config();
        config.interface_name = bad_names[i];
        CHECK(dcf_tb_init(&config, &transport) != DCF_TB_OK);
    }
    CHECK(transport == 77);
}

static void smallest_values(void)
{
    TOPIC("a transport with the smallest settings works");
    dcf_tb_config config = loopback_config();
    config.buffer_size = 0;
    config.receive_queue = 1;
    config.max_streams = 2;
    config.stream_dead_after_ms = 0;
    config.busy_poll_us = 0;
    config.tcp_nodelay = config.tcp_keepalive = 0;
    dcf_tb_transport transport = start(&config);
    send_text(transport, "::1%lo", "hello");
    expect_text(transport, "hello");
    stream_pair pair = connect_streams(transport, transport);
    write_all(pair.near_end, "hello", 5);
    char text[5];
    read_exactly(pair.far_end, text, 5);
    CHECK(memcmp(text, "hello", 5) == 0);
    OK(dcf_tb_close(transport));
}

int main(void)
{
    init_of_other_sizes();
    configs_of_other_sizes();
    outputs_of_other_sizes();
    bad_values();
    smallest_values();
    return 0;
}
