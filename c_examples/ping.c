/* ping: measures a series of round trips to a peer.
   The peer needs no program of its own: any open transport answers pings by itself.

       ping fe80::b%thunderbolt0 1000      or, to oneself:  ping -i lo ::1

   Exit code 0: every ping was answered. */
#include "example.h"

static void print_us(const char *name, uint64_t nanoseconds)
{
    printf("%-5s%10.1f µs\n", name, (double)nanoseconds / 1e3);
}

int main(int argc, char **argv)
{
    dcf_tb_config config = parse_options(argc, argv, 1, 3, "PEER [COUNT [INTERVAL_US]]");
    const char *peer = argument(argc, argv, 0);
    unsigned long count = number(argument(argc, argv, 1), 1000, 1, 1000000);
    unsigned long interval_us = number(argument(argc, argv, 2), 1000, 0, 1000000);
    dcf_tb_transport transport = open_until_signal(&config);
    dcf_tb_rtt rtt = {0};
    uint64_t first_ns;

    /* Report an absent peer now, and not after COUNT timeouts. */
    check(dcf_tb_measure_rtt(transport, peer, 5000, &first_ns));

    rtt.struct_size = sizeof rtt;
    check(dcf_tb_ping(transport, peer, (uint32_t)count, (uint32_t)interval_us, 5000, &rtt));

    printf("%lu pings to %s, %lu answered\n", (unsigned long)rtt.sent, peer,
           (unsigned long)rtt.received);
    print_us("min", rtt.min_ns);
    print_us("mean", rtt.mean_ns);
    print_us("p50", rtt.p50_ns);
    print_us("p90", rtt.p90_ns);
    print_us("p99", rtt.p99_ns);
    print_us("max", rtt.max_ns);

    check(dcf_tb_close(transport));
    return rtt.received == count ? EXIT_SUCCESS : EXIT_FAILURE;
}
