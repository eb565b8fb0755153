/* Messages that are too large for a datagram, between two plugins of one host. Argument: the scene. */
#include "plugin.h"
#include "process.h"

enum { MIB = 1 << 20, MOST = DCF_TB_PLUGIN_MAX_MESSAGE_SIZE };

static void *a, *b;

static dcf_tb_stats stats(void *plugin)
{
    return stats_of(native(plugin));
}

static void every_size(void)
{
    TOPIC("every size arrives whole, over one connection, with every form of the peer string");
    const size_t sizes[] = {65508, 65509, 100000, 256 << 10, (256 << 10) + 1, MIB, MOST - 1, MOST};
    const char *peers[] = {"[::1%lo]:6000", "[::1]:6000", "[0::1%1]:6000"};
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        CHECK(v1_send(a, peers[i % 3], sizes[i], i));
        v1_expect(b, sizes[i], i);
    }
    CHECK(stats(a).connections_initiated == 1 && stats(b).connections_accepted == 1);
    CHECK(stats(b).messages_dropped == 0 && stats(b).rejected == 0);

    TOPIC("a plugin can send to itself");
    CHECK(v1_send(a, "::1", MIB, 1));
    v1_expect(a, MIB, 1);

    TOPIC("small and large messages share the receiver's queue");
    CHECK(v1_send(a, "[::1]:6000", 65507, 1));
    v1_expect(b, 65507, 1);
    CHECK(v1_send(a, "[::1]:6000", 65508, 2));
    v1_expect(b, 65508, 2);
}

enum { SENDERS = 4, EACH = 40 };

/* The first bytes of a message: its thread and its number. */
typedef struct label {
    uint32_t thread, number;
} label;

static size_t size_of(label which)
{
    return 65508 + (which.number * 7919 + which.thread * 104729) % 200000;
}

static void *send_labelled(void *thread)
{
    for (uint32_t i = 0; i < EACH; i++) {
        label which = {(uint32_t)(uintptr_t)thread, i};
        size_t size = size_of(which);
        uint8_t *data = (uint8_t *)malloc(size);
        CHECK(data != NULL);
        fill(data, size, which.thread * 1000 + i);
        memcpy(data, &which, sizeof which);
        CHECK(iface.send(a, data, size, "[::1]:6000"));
        free(data);
    }
    return NULL;
}

static void four_threads(void)
{
    TOPIC("four threads send at once: each message whole, those of each thread in order");
    pthread_t threads[SENDERS];
    uint32_t next[SENDERS] = {0};
    for (uintptr_t i = 0; i < SENDERS; i++)
        threads[i] = start_thread(send_labelled, (void *)i);
    for (int i = 0; i < SENDERS * EACH; i++) {
        size_t size = 0;
        label which;
        uint8_t *data = v1_next(b, &size), *expected = (uint8_t *)malloc(size);
        CHECK(expected != NULL && size > sizeof which);
        memcpy(&which, data, sizeof which);
        CHECK(which.thread < SENDERS && which.number == next[which.thread]++);
        CHECK(size == size_of(which));
        fill(expected, size, which.thread * 1000 + which.number);
        memcpy(expected, &which, sizeof which);
        CHECK(memcmp(data, expected, size) == 0);
        free(data);
        free(expected);
    }
    for (int i = 0; i < SENDERS; i++)
        join(threads[i]);
    CHECK(stats(a).connections_initiated == 1);
}

static void *send_ten(void *from)
{
    const char *to = from == a ? "[::1]:6000" : "[::1]:5000";
    for (uint32_t i = 0; i < 10; i++)
        CHECK(v1_send(from, to, 5 * MIB, i));
    return NULL;
}

static void both_ways(void)
{
    TOPIC("both directions at once");
    pthread_t from_a = start_thread(send_ten, a), from_b = start_thread(send_ten, b);
    for (uint32_t i = 0; i < 10; i++) {
        v1_expect(a, 5 * MIB, i);
        v1_expect(b, 5 * MIB, i);
    }
    join(from_a);
    join(from_b);
}

typedef struct next_message {
    ITransport *self;
    uint32_t seed;
} next_message;

static void *send_next(void *argument)
{
    const next_message *next = (const next_message *)argument;
    OK(v2_send(next->self, "[::1]:8000", 4 * MIB, next->seed, DCF_TB_WAIT_FOREVER));
    return NULL;
}

static void a_peer_that_does_not_receive(void)
{
    TOPIC("a peer that does not receive blocks only sends to itself");
    ITransport *self = v2_on("lo", 7000);
    void *stuck = create_plugin();
    int sent = 0, status;
    CHECK(iface_v1_1.setup(stuck, "{\"interface\": \"lo\", \"control_port\": 8000,"
                                  " \"receive_queue_bytes\": 100000}", 0));
    while ((status = v2_send(self, "[::1]:8000", 4 * MIB, (uint32_t)sent, 300)) == DCF_TB_OK)
        CHECK(++sent < 100); /* as many as the kernels' buffers hold */
    CHECK(status == DCF_TB_ERR_TIMEOUT);
    GIVES(DCF_TB_WOULD_BLOCK, v2_send(self, "[::1]:8000", MOST, 0, 0));
    OK(v2_send(self, "[::1]:6000", MIB, 1, GENEROUS_MS));
    v1_expect(b, MIB, 1);
    OK(v2_send(self, "[::1]:8000", 100, 77, 1000)); /* datagrams have a budget of their own */

    TOPIC("when it receives, every sent message arrives whole and in order, and no failed one");
    int large = 0, small = 0;
    next_message next = {self, (uint32_t)sent};
    pthread_t sender = start_thread(send_next, &next);
    while (large < sent + 1 || small == 0) {
        size_t size = 0;
        uint8_t *data = v1_next(stuck, &size);
        if (size == 100)
            small++;
        else
            CHECK(is_message(data, size, 4 * MIB, (uint32_t)large++));
        free(data);
    }
    join(sender);
    /* The message that timed out, if the kernel had accepted a part of it. */
    CHECK(stats(stuck).messages_dropped <= 1);
    OK(v2_send(self, "[::1]:8000", 4 * MIB, 99, GENEROUS_MS));
    v1_expect(stuck, 4 * MIB, 99);
    self->destroy(self);
    iface.destroy(stuck);
}

static int result;

static void *send_until_shutdown(void *self)
{
    int status;
    while ((status = v2_send((ITransport *)self, "[::1]:8000", MOST, 1, DCF_TB_WAIT_FOREVER)) == 0)
        add(&result, 1);
    return (void *)(intptr_t)status;
}

static void shutdown_in_the_middle(void)
{
    TOPIC("a shutdown on either side ends a waiting send");
    for (int side = 0; side < 2; side++) {
        ITransport *self = v2_on("lo", 7000), *stuck = v2_on("lo", 8000);
        void *status = NULL;
        set(&result, 0);
        pthread_t sender = start_thread(send_until_shutdown, self);
        EVENTUALLY(stats_of(native_v2(stuck)).stream_bytes_received > MIB);
        if (side == 0)
            OK(self->shutdown(self));
        else
            OK(stuck->shutdown(stuck));
        CHECK(pthread_join(sender, &status) == 0);
        if (side == 0)
            CHECK((intptr_t)status == DCF_TB_ERR_SHUTDOWN);
        self->destroy(self);
        stuck->destroy(stuck);
    }
}

static void idle(void)
{
    TOPIC("idle connections are closed, with their threads, and opened again when needed");
    int descriptors = count_descriptors(), threads = count_threads();
    for (uint32_t round = 0; round < 2; round++) {
        CHECK(v1_send(a, "[::1]:6000", MIB, round));
        v1_expect(b, MIB, round);
        CHECK(stats(a).streams_open == 1 && stats(b).streams_open == 1);
        CHECK(stats(a).connections_initiated == round + 1);
        EVENTUALLY(stats(a).streams_open == 0 && stats(b).streams_open == 0);
        /* Possibly fewer: a transport that has just started queries its interface once more. */
        EVENTUALLY(count_descriptors() <= descriptors && count_threads() <= threads);
    }
    CHECK(stats(b).rejected == 0 && stats(b).messages_dropped == 0);

    TOPIC("a connection in use stays open");
    uint64_t start = milliseconds();
    while (milliseconds() - start < 12000) {
        CHECK(v1_send(a, "[::1]:6000", 65508, 1));
        v1_expect(b, 65508, 1);
        for (int i = 0; i < 300; i++)
            pause_briefly();
    }
    CHECK(stats(a).connections_initiated == 3);
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        void (*play)(void);
    } scenes[] = {
        {"sizes", every_size},
        {"threads", four_threads},
        {"both ways", both_ways},
        {"stuck", a_peer_that_does_not_receive},
        {"shutdown", shutdown_in_the_middle},
        {"idle", idle},
    };
    int played = 0;
    CHECK(count == 2);
    a = v1_on("lo", 5000);
    b = v1_on("lo", 6000);
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
        if (strcmp(scenes[i].name, arguments[1]) == 0) {
            scenes[i].play();
            played++;
        }
    CHECK(played == 1);
    iface.destroy(a);
    iface.destroy(b);
    return 0;
}
