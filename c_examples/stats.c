/* stats: opens a transport, pings a peer if one is given, and prints the statistics:
   once, or every second for SECONDS seconds.

       stats -i lo        stats fe80::b%thunderbolt0        stats fe80::b%thunderbolt0 60

   An application asks its own transport; nothing here is shared between processes. */
#include "example.h"
#include <stddef.h>
#include <time.h>

/* Every member but the first two is a uint64_t, so a table can name them. */
#define ROW(member) { #member, offsetof(dcf_tb_stats, member) }
static const struct {
    const char *name;
    size_t offset;
} rows[] = {
    ROW(messages_sent), ROW(messages_received), ROW(bytes_sent), ROW(bytes_received),
    ROW(connections_accepted), ROW(connections_initiated), ROW(errors), ROW(uptime_ns),
    ROW(messages_dropped), ROW(kernel_drops), ROW(rejected),
    ROW(stream_bytes_sent), ROW(stream_bytes_received), ROW(streams_open),
    ROW(pings_sent), ROW(pongs_received), ROW(pings_answered), ROW(last_rtt_ns),
    ROW(link_changes), ROW(callback_failures),
    ROW(udp_send_buffer), ROW(udp_receive_buffer),
    ROW(rejected_source), ROW(rejected_max_streams), ROW(rejected_silent),
    ROW(rejected_resources), ROW(dropped_memory), ROW(pongs_ignored),
    ROW(rejected_malformed), ROW(discovery_dropped), ROW(send_drops), ROW(pings_limited),
    ROW(dropped_slow), ROW(pings_undelivered), ROW(peers_not_reported),
};

static void print_stats(dcf_tb_transport transport)
{
    dcf_tb_stats stats = {0};
    size_t i;

    /* The size at compile time: a newer library leaves out its additional members. */
    stats.struct_size = sizeof stats;
    check(dcf_tb_get_stats(transport, &stats));
    printf("%-22s %15s\n", "link", stats.link_up ? "up" : "down");
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t value;

        memcpy(&value, (const char *)&stats + rows[i].offset, sizeof value);
        printf("%-22s %15llu\n", rows[i].name, (unsigned long long)value);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    dcf_tb_config config = parse_options(argc, argv, 0, 2, "[PEER [SECONDS]]");
    const char *peer = argument(argc, argv, 0);
    unsigned long seconds = number(argument(argc, argv, 1), 0, 0, 1000000);
    const struct timespec second = {1, 0};
    dcf_tb_transport transport;
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* sigwait below waits for them */

    check(dcf_tb_init(&config, &transport));
    for (;;) {
        if (peer != NULL) {
            uint64_t rtt_ns;
            dcf_tb_status status = dcf_tb_measure_rtt(transport, peer, 1000, &rtt_ns);

            if (status != DCF_TB_ERR_TIMEOUT) /* the table shows the missing answers */
                check(status);
        }
        print_stats(transport);
        if (seconds <= 1 || sigtimedwait(&signals, NULL, &second) > 0)
            break;
        seconds--;
        putchar('\n');
    }
    check(dcf_tb_close(transport));
    return EXIT_SUCCESS;
}
