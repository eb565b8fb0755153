/*
  * A caller with structs of other sizes than today's header. It does not include that header, like a
  * program that was compiled with an earlier or a later one. A test that includes this file may define
  * LATER_CONFIG and LATER_STATS, the members behind the first ones.
 */
#ifndef SIZED_CALLER_H
#define SIZED_CALLER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The structs of the first header. */
typedef struct config {
    uint32_t struct_size;
    uint16_t control_port, data_port;
    const char *interface_name;
    uint64_t buffer_size;
    uint8_t tcp_nodelay, tcp_keepalive, allow_any_source, wait_for_interface;
    uint32_t busy_poll_us, receive_queue, max_streams, connect_timeout_ms, stream_dead_after_ms;
    int32_t log_level;
    void (*on_message)(const uint8_t *, size_t, const char *, void *);
    void (*on_stream)(uint64_t, const char *, void *);
    void (*on_log)(int32_t, const char *, void *);
    void (*on_link)(int32_t, const char *, void *);
    void (*on_closed)(void *);
    void *user_data;
#ifdef LATER_CONFIG
    LATER_CONFIG
#endif
} config;

typedef struct stats {
    uint32_t struct_size, link_up;
    uint64_t messages_sent, messages_received, bytes_sent, bytes_received;
    uint64_t connections_accepted, connections_initiated, errors, uptime_ns;
    uint64_t messages_dropped, kernel_drops, rejected;
    uint64_t stream_bytes_sent, stream_bytes_received, streams_open;
    uint64_t pings_sent, pongs_received, pings_answered, last_rtt_ns;
    uint64_t link_changes, callback_failures, udp_send_buffer, udp_receive_buffer;
#ifdef LATER_STATS
    LATER_STATS
#endif
} stats;

int32_t dcf_tb_config_init(config *, size_t);
int32_t dcf_tb_init(const config *, uint64_t *);
int32_t dcf_tb_close(uint64_t);
int32_t dcf_tb_ports(uint64_t, uint16_t *, uint16_t *);
int32_t dcf_tb_send(uint64_t, const char *, const uint8_t *, size_t);
int32_t dcf_tb_recv(uint64_t, uint8_t *, size_t, size_t *, char *, size_t, uint32_t);
int32_t dcf_tb_get_stats(uint64_t, stats *);
size_t dcf_tb_last_error(char *, size_t);

#ifdef __cplusplus
}
#endif

enum { GUARD = 256, PATIENCE_MS = 30000, CONFIG_INVALID = 0x0201 };

#define CHECK(condition) ((condition) ? (void)0 : failed(__LINE__, #condition))

static inline void failed(int line, const char *condition)
{
    char why[512];

    dcf_tb_last_error(why, sizeof why);
    printf("line %d: failed: %s (%s)\n", line, condition, why);
    exit(1);
}

/* Whether the memory behind a struct is unchanged. */
static inline int untouched(const uint8_t *bytes, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (bytes[i] != 0xAA)
            return 0;
    return 1;
}

/* Runs a transport with these structs: defaults, a message to itself, statistics. Returns the statistics. */
static inline stats live(config *settings)
{
    struct {
        stats now;
        uint8_t guard[GUARD];
    } counted;
    uint64_t transport = 0;
    uint16_t control = 0, data = 0;
    uint8_t message[8];
    char peer[80], sender[80];
    size_t len = 0;

    settings->interface_name = "lo";
    settings->control_port = settings->data_port = 0;
    CHECK(dcf_tb_init(settings, &transport) == 0);
    CHECK(dcf_tb_ports(transport, &control, &data) == 0);
    snprintf(peer, sizeof peer, "[::1%%lo]:%u", (unsigned)control);
    CHECK(dcf_tb_send(transport, peer, (const uint8_t *)"hello", 5) == 0);
    CHECK(dcf_tb_recv(transport, message, sizeof message, &len, sender, sizeof sender, PATIENCE_MS) == 0);
    CHECK(len == 5 && memcmp(message, "hello", 5) == 0);

    memset(&counted, 0xAA, sizeof counted);
    counted.now.struct_size = sizeof counted.now;
    CHECK(dcf_tb_get_stats(transport, &counted.now) == 0);
    CHECK(counted.now.struct_size == sizeof counted.now);
    CHECK(counted.now.messages_sent == 1 && counted.now.messages_received == 1);
    CHECK(counted.now.bytes_received == 5 && counted.now.udp_receive_buffer > 0);
    CHECK(untouched(counted.guard, GUARD));
    CHECK(dcf_tb_close(transport) == 0);
    return counted.now;
}

/* Reads the defaults, and checks that nothing is written behind the struct. */
static inline config defaults(void)
{
    struct {
        config now;
        uint8_t guard[GUARD];
    } settings;

    memset(&settings, 0xAA, sizeof settings);
    CHECK(dcf_tb_config_init(&settings.now, sizeof settings.now) == 0);
    CHECK(settings.now.struct_size == sizeof settings.now);
    CHECK(settings.now.control_port == 5000 && settings.now.max_streams == 1024);
    CHECK(settings.now.user_data == NULL && settings.now.on_closed == NULL);
    CHECK(untouched(settings.guard, GUARD));
    return settings.now;
}

#endif
