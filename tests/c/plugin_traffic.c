/* Traffic of DCF's nodes. Arguments: the scene, the address of an echoing node, our own. */
#include "plugin.h"

static const char *peer;
static void *self;

/* Checks that every message comes back in order, with at most `window` in flight. */
static void there_and_back(size_t size, uint32_t messages, uint32_t window)
{
    uint32_t sent = 0, back = 0;
    while (back < messages) {
        for (; sent < messages && sent - back < window; sent++)
            CHECK(v1_send(self, peer, size, sent));
        v1_expect(self, size, back++);
    }
}

static void frames(void)
{
    TOPIC("frames of 17 bytes");
    there_and_back(17, 10000, 128);
}

static void envelopes(void)
{
    TOPIC("envelopes of 34 bytes");
    there_and_back(34, 10000, 128);
}

static void pipes(void)
{
    TOPIC("pipes of 1400 and 8192 bytes, in windows of 32");
    there_and_back(1400, 200 * 32, 32);
    there_and_back(8192, 200 * 32, 32);

    TOPIC("windows that are acknowledged as a whole");
    for (uint32_t window = 0; window < 100; window++) {
        for (uint32_t i = 0; i < 32; i++)
            CHECK(v1_send(self, peer, 8192, window * 32 + i));
        for (uint32_t i = 0; i < 32; i++)
            v1_expect(self, 8192, window * 32 + i);
    }
}

static int talking;

static void *send_large_ones(void *unused)
{
    while (value(&talking))
        CHECK(v1_send(self, peer, 8 << 20, 1000000));
    return unused;
}

static void audio(void)
{
    TOPIC("124 bytes of audio every 20 ms arrive in order, also beside large messages");
    for (int beside = 0; beside < 2; beside++) {
        pthread_t other = 0;
        set(&talking, 1);
        if (beside)
            other = start_thread(send_large_ones, NULL);
        uint64_t next = milliseconds();
        uint32_t heard = 0;
        for (uint32_t i = 0; i < 100 || heard < 100;) {
            if (i < 100 && milliseconds() >= next) {
                CHECK(v1_send(self, peer, 124, i++));
                next += 20;
            }
            size_t length = 0;
            uint8_t *data = iface.receive(self, &length);
            if (data != NULL && length == 124)
                CHECK(is_message(data, length, 124, heard++));
            free(data);
            CHECK(milliseconds() < next + GENEROUS_MS);
        }
        set(&talking, 0);
        if (beside)
            join(other);
    }
}

enum { PEERS = 128, ROUNDS = 5 };

/* fe80::d:1 to fe80::d:80 */
static void name_of(uint32_t number, char *name, size_t size)
{
    snprintf(name, size, "fe80::d:%x%%thunderbolt0", number + 1);
}

static void ping_rounds(void)
{
    TOPIC("rounds of pings to 128 peers, one a second");
    int missed = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = milliseconds(), took;
        for (uint32_t i = 0; i < PEERS; i++) {
            char name[80];
            int rtt = 0;
            name_of(i, name, sizeof name);
            CHECK(iface_v1_1.health_check(self, name, &rtt) && rtt >= 1);
        }
        took = milliseconds() - start;
        printf("  a round took %u ms\n", (unsigned)took);
        missed += took > 1000; /* a busy machine may miss some */
        while (milliseconds() - start < 1000)
            pause_briefly();
    }
    CHECK(missed < ROUNDS);

    TOPIC("rounds of frames: every peer gets the frame of each round");
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < PEERS; i++) {
            char name[80];
            name_of(i, name, sizeof name);
            CHECK(iface.send(self, (const uint8_t *)"17 bytes of frame", 17, name));
        }
        for (uint32_t i = 0; i < PEERS; i++) {
            size_t length = 0;
            uint8_t *data = v1_next(self, &length);
            CHECK(length == 17 && memcmp(data, "17 bytes of frame", 17) == 0);
            free(data);
        }
    }
}

/* Every check fails, and at least one in the promised time, even on a busy machine. */
static void is_dead_within_three_seconds(const char *who)
{
    uint64_t best = GENEROUS_MS;
    for (int i = 0; i < 3 && best > 3000; i++) {
        int rtt = -1;
        uint64_t start = milliseconds();
        CHECK(!iface_v1_1.health_check(self, who, &rtt) && rtt == -1);
        uint64_t took = milliseconds() - start;
        best = took < best ? took : best;
    }
    CHECK(best <= 3000);
}

static void health(void)
{
    ITransport *v2 = create_plugin_v2();
    OK(v2->setup(v2, NULL, 6000));
    char there[100];
    int rtt = 0;
    snprintf(there, sizeof there, "[%s]:5000", peer);

    TOPIC("health checks of a live peer, an absent one, and one that died");
    CHECK(iface_v1_1.health_check(self, peer, &rtt) && rtt >= 1);
    is_dead_within_three_seconds("fe80::dead:1");
    OK(v2_send(v2, there, 17, 1, 1000));
    v2_expect(v2, there, 17, 1);
    CHECK(v2->is_connected(v2, peer));
    request("kill");
    is_dead_within_three_seconds(peer);

    TOPIC("a peer that was silent for 10 s is no longer connected");
    EVENTUALLY(!v2->is_connected(v2, peer));

    TOPIC("the peer comes back");
    request("start");
    EVENTUALLY(iface_v1_1.health_check(self, peer, &rtt));
    OK(v2_send(v2, there, 17, 2, 1000));
    v2_expect(v2, there, 17, 2);
    CHECK(v2->is_connected(v2, peer));

    TOPIC("a pulled cable is reported at once");
    request("unplug");
    EVENTUALLY(stats_of(native(self)).link_up == 0);
    is_dead_within_three_seconds(peer);
    request("plug");
    EVENTUALLY(iface_v1_1.health_check(self, peer, &rtt));
    v2->destroy(v2);
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        void (*play)(void);
    } scenes[] = {
        {"frames", frames}, {"envelopes", envelopes},     {"pipes", pipes},
        {"audio", audio},   {"ping rounds", ping_rounds}, {"health", health},
    };
    int played = 0;
    CHECK(count == 4);
    peer = arguments[2];
    self = v1_on(arguments[3], 5000);
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
        if (strcmp(scenes[i].name, arguments[1]) == 0) {
            scenes[i].play();
            played++;
        }
    CHECK(played == 1);
    iface.destroy(self);
    return 0;
}
