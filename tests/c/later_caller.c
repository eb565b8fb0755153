/* A program that was compiled with a later header, whose structs have members that this library does not know. */
#define LATER_CONFIG                                                \
    uint64_t receive_queue_bytes;                                   \
    uint32_t max_silent_streams, silent_after_ms;                   \
    void (*on_peer)(int32_t, const char *, void *);                 \
    uint32_t peer_timeout_ms, remember_peers;                       \
    uint64_t not_known_yet[7];
#define LATER_STATS uint64_t known_today[13], not_known_yet[9];
#include "sized_caller.h"

int main(void)
{
    config settings = defaults();
    uint64_t transport = 0;
    stats counted;
    size_t i;

    for (i = 0; i < 7; i++)
        CHECK(settings.not_known_yet[i] == 0);
    CHECK(settings.max_silent_streams == 1000);
    counted = live(&settings);
    CHECK(counted.known_today[0] == 0);
    CHECK(untouched((const uint8_t *)counted.not_known_yet, sizeof counted.not_known_yet));

    /* An unknown member that is set must be refused. */
    for (i = 0; i < 7; i++) {
        settings.not_known_yet[i] = 1;
        CHECK(dcf_tb_init(&settings, &transport) == CONFIG_INVALID);
        settings.not_known_yet[i] = 0;
    }
    CHECK(transport == 0);
    return 0;
}
