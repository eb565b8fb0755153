/*
 * Every form of a peer string, accepted and refused. The argument is our own link-local address
 * on thunderbolt0; the host has an interface lo as well.
 */
#include "check.h"

#include <net/if.h>

static dcf_tb_transport t;

static dcf_tb_status try_peer(const char *peer)
{
    dcf_tb_stream stream = 0;
    uint64_t rtt = 0;
    size_t sent = 0;
    dcf_tb_rtt summary;
    dcf_tb_datagram datagram = {peer, NULL, 0};
    dcf_tb_status status = dcf_tb_send(t, peer, NULL, 0);
    /* All functions that take a peer agree on it. */
    if (status != DCF_TB_OK) {
        summary.struct_size = sizeof summary;
        GIVES(status, dcf_tb_send_batch(t, &datagram, 1, &sent));
        GIVES(status, dcf_tb_open_stream(t, peer, GENEROUS_MS, &stream));
        GIVES(status, dcf_tb_measure_rtt(t, peer, GENEROUS_MS, &rtt));
        GIVES(status, dcf_tb_ping(t, peer, 1, 0, GENEROUS_MS, &summary));
    }
    return status;
}

/* The error must contain `quoted`. */
static void refused(dcf_tb_status expected, const char *peer, const char *quoted)
{
    printf("  refused: \"%s\"\n", peer);
    GIVES(expected, try_peer(peer));
    CHECK(error_says(quoted));
}

static void accepted(const char *format, const char *address, unsigned number)
{
    char peer[128];
    snprintf(peer, sizeof peer, format, address, number);
    printf("  accepted: \"%s\"\n", peer);
    GIVES(DCF_TB_OK, try_peer(peer));
    uint8_t byte;
    size_t length = 7;
    OK(dcf_tb_recv(t, &byte, 1, &length, NULL, 0, GENEROUS_MS));
    CHECK(length == 0);
    uint64_t rtt = 0;
    OK(dcf_tb_measure_rtt(t, peer, GENEROUS_MS, &rtt));
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    char bare[80];
    snprintf(bare, sizeof bare, "%s", arguments[1]);
    *strchr(bare, '%') = '\0';
    unsigned index = if_nametoindex("thunderbolt0"), other = if_nametoindex("lo");
    dcf_tb_config config;
    OK(dcf_tb_config_init(&config, sizeof config));
    t = start(&config);

    TOPIC("all accepted forms reach this transport");
    accepted("%s%%thunderbolt0", bare, 0);
    accepted("%s%%%u", bare, index);
    accepted("%s", bare, 0);
    accepted("[%s%%thunderbolt0]:%u", bare, 5000);
    accepted("[%s]:%u", bare, 5000);
    accepted("FE80:0:0:0:0:ff:fe00:%.0s%x%%thunderbolt0", bare,
             (unsigned)strtoul(strrchr(bare, ':') + 1, NULL, 16));

    TOPIC("a bracketed port is the data port for streams");
    dcf_tb_stream near_end = 0, far_end = 0;
    char peer[100];
    snprintf(peer, sizeof peer, "[%s%%thunderbolt0]:5001", bare);
    OK(dcf_tb_open_stream(t, peer, GENEROUS_MS, &near_end));
    OK(dcf_tb_accept(t, GENEROUS_MS, &far_end));
    OK(dcf_tb_stream_close(near_end));
    OK(dcf_tb_stream_close(far_end));

    TOPIC("last_error quotes a refused peer string");
    static const char *const bad[] = {
        "", " ", "%", "%thunderbolt0", "10.0.0.1", "127.0.0.1:5000", "::ffff:10.0.0.1",
        "localhost", "host%thunderbolt0", "fe80::1%thunderbolt0 ", " fe80::1%thunderbolt0",
        "fe80::1%", "fe80::1/64", "fe80:::1", "fe80::1::2",
        "fe80::12345", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "[fe80::1%thunderbolt0",
        "fe80::1]", "[fe80::1%thunderbolt0]", "[fe80::1%thunderbolt0]:", "[fe80::1%thunderbolt0]:0",
        "[fe80::1%thunderbolt0]:65536", "[fe80::1%thunderbolt0]:99999999999",
        "[fe80::1%thunderbolt0]:-1", "[fe80::1%thunderbolt0]:+5", "[fe80::1%thunderbolt0]:5000x",
        "[fe80::1%thunderbolt0]5000", "[[fe80::1%thunderbolt0]]:5000", "[]:5000", "[",
        "fe80::1%thunderbolt0:5000", "fe80::1%thunderbolt0\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refused(DCF_TB_ERR_INVALID_ADDRESS, bad[i], bad[i]);

    TOPIC("a scope that names another interface");
    refused(DCF_TB_ERR_INVALID_ADDRESS, "fe80::1%lo", "fe80::1%lo");
    refused(DCF_TB_ERR_INVALID_ADDRESS, "::1%lo", "::1%lo");
    snprintf(peer, sizeof peer, "fe80::1%%%u", other);
    refused(DCF_TB_ERR_INVALID_ADDRESS, peer, peer);
    refused(DCF_TB_ERR_INVALID_ADDRESS, "[fe80::1%lo]:5000", "[fe80::1%lo]:5000");

    TOPIC("an interface that does not exist");
    refused(DCF_TB_ERR_INTERFACE_NOT_FOUND, "fe80::1%nowhere0", "nowhere0");
    refused(DCF_TB_ERR_INTERFACE_NOT_FOUND, "[fe80::1%nowhere0]:5000", "nowhere0");
    refused(DCF_TB_ERR_INTERFACE_NOT_FOUND, "fe80::1%4040404", "4040404");

    TOPIC("a string of a megabyte is refused, and the thread's error stays readable");
    static char endless[1 << 20];
    memset(endless, 'f', sizeof endless - 1);
    GIVES(DCF_TB_ERR_INVALID_ADDRESS, dcf_tb_send(t, endless, NULL, 0));
    CHECK(error_says("ffff"));
    OK(dcf_tb_close(t));
    return 0;
}
