/* The contract v1, and that of the old loader, which uses the object as the table. */
#include "plugin.h"
#include "process.h"
#include "raw.h"

static const size_t datagrams[] = {0, 1, 17, 34, 1400, 8192, 65507};

static void what_is_exported(void)
{
    TOPIC("the version, the table, and the table that every object begins with");
    CHECK(strcmp(get_plugin_version(), "1.0") == 0);
    CHECK(get_plugin_version() == get_plugin_version());
    void *a = create_plugin(), *b = create_plugin();
    CHECK(a != NULL && b != NULL && a != b);
    CHECK(memcmp(a, &iface, sizeof iface) == 0 && memcmp(b, &iface, sizeof iface) == 0);
    CHECK(native(a) == 0);
    iface.destroy(a);
    ((DCFTransportV1 *)b)->destroy(b);
}

static void before_setup(void)
{
    TOPIC("before the setup every call fails at once");
    void *self = create_plugin();
    size_t size = 77;
    FAILS("call setup first", iface.send(self, NULL, 0, "::1"));
    CHECK(iface.receive(self, &size) == NULL && size == 0 && error_says("call setup first"));
    iface.destroy(self);
}

static void refused_setups(void)
{
    TOPIC("a bad port, host or interface is refused, and quoted");
    void *self = create_plugin();
    const int ports[] = {0, -1, 65535, 65536, 70000, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++) {
        char number[20];
        snprintf(number, sizeof number, "port %d", ports[i]);
        FAILS(number, iface.setup(self, "lo", ports[i]));
    }
    const char *hosts[] = {"",          "::1",         "127.0.0.1", "localhost", "fe80::dead%lo",
                           "::1%none0", "::1%999999",  "none0",     "\xff",      "no/name",
                           "::1%lo ",   "a-name-of-sixteen"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        FAILS(hosts[i][0] == '\xff' ? "UTF-8" : hosts[i], iface.setup(self, hosts[i], 5000));
    FAILS("thunderbolt0", iface.setup(self, NULL, 5000)); /* the default interface does not exist */
    CHECK(native(self) == 0);

    TOPIC("the error names a taken port, and the setup succeeds afterwards");
    void *other = v1_on("lo", 5000);
    FAILS("5000", iface.setup(self, "lo", 5000));
    int listener = raw_socket(SOCK_STREAM, "::1", 6001);
    CHECK(listen(listener, 1) == 0);
    FAILS("6001", iface.setup(self, "lo", 6000));
    close(listener);
    CHECK(iface.setup(self, "::1%lo", 6000));
    CHECK(native(self) != 0);
    iface.destroy(other);

    TOPIC("the same setup again changes nothing, and another one is refused");
    char host[] = "::1%lo";
    dcf_tb_transport before = native(self);
    CHECK(iface.setup(self, host, 6000));
    CHECK(iface.setup(self, "lo", 6000)); /* the same setup in another form */
    memset(host, 'x', sizeof host - 1);
    FAILS("6000", iface.setup(self, "lo", 6002));
    FAILS("other settings", iface.setup(self, NULL, 6000));
    FAILS("port 0", iface.setup(self, "lo", 0));
    CHECK(native(self) == before);
    CHECK(control_port(before) == 6000 && data_port(before) == 6001);
    iface.destroy(self);

    TOPIC("its ports are free again");
    self = v1_on("lo", 6000);
    iface.destroy(self);
}

static void messages(void)
{
    TOPIC("messages of all datagram sizes arrive whole and in order");
    void *a = v1_on("lo", 5000), *b = v1_on("lo", 6000);
    for (uint32_t i = 0; i < sizeof datagrams / sizeof datagrams[0]; i++)
        CHECK(v1_send(a, "[::1%lo]:6000", datagrams[i], i));
    for (uint32_t i = 0; i < sizeof datagrams / sizeof datagrams[0]; i++)
        v1_expect(b, datagrams[i], i);

    TOPIC("every form of a target, and invalid ones");
    const char *targets[] = {"::1", "::1%lo", "::1%1", "[::1%lo]:5000", "[::1]:5000"};
    for (uint32_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        CHECK(v1_send(a, targets[i], 5, i));
        v1_expect(a, 5, i);
    }
    const char *wrong[] = {"",     "localhost", "127.0.0.1",    "127.0.0.1:5000", "::1%lo:5000",
                           "::1 ", "::1%lo%lo",  "[::1%lo]:0", "[::1%lo]:65536", "\xff"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *quoted = wrong[i][0] == '\xff' ? "UTF-8" : wrong[i];
        FAILS(quoted, v1_send(a, wrong[i], 5, 0));
        FAILS(quoted, v1_send(a, wrong[i], 70000, 0));
    }
    FAILS("none0", v1_send(a, "::1%none0", 5, 0));
    FAILS("none0", v1_send(a, "::1%none0", 70000, 0));
    FAILS("65535", v1_send(a, "[::1%lo]:65535", 70000, 0)); /* no port follows it for data */

    TOPIC("NULL, and more than 64 MiB");
    size_t size = 77;
    uint8_t *large = (uint8_t *)calloc(1, DCF_TB_PLUGIN_MAX_MESSAGE_SIZE + 1);
    CHECK(large != NULL);
    FAILS("NULL", iface.send(a, (const uint8_t *)"x", 1, NULL));
    FAILS("NULL", iface.send(a, NULL, 1, "::1"));
    FAILS("NULL", iface.send(NULL, (const uint8_t *)"x", 1, "::1"));
    FAILS("67108865", iface.send(a, large, DCF_TB_PLUGIN_MAX_MESSAGE_SIZE + 1, "::1"));
    FAILS("no buffer can be that large", iface.send(a, large, SIZE_MAX, "::1"));
    CHECK(!iface.setup(NULL, "lo", 5000));
    CHECK(iface.receive(NULL, &size) == NULL && size == 0);
    CHECK(iface.receive(a, NULL) == NULL);
    CHECK(iface.receive(NULL, NULL) == NULL);
    iface.destroy(NULL);
    free(large);

    TOPIC("a receive waits for a while, then returns NULL");
    uint64_t start = milliseconds();
    size = 77;
    CHECK(iface.receive(a, &size) == NULL && size == 0);
    CHECK(milliseconds() - start >= 99);
    iface.destroy(a);
    iface.destroy(b);
}

enum { CROSSING = 2000 };

static void *send_numbers(void *self)
{
    for (uint32_t i = 0; i < CROSSING; i++) {
        CHECK(iface.send(self, (const uint8_t *)&i, sizeof i, "::1"));
        if (i % 100 == 99) /* the queue holds 1024 */
            EVENTUALLY(stats_of(native(self)).messages_received > i);
    }
    return NULL;
}

static void both_at_once(void)
{
    TOPIC("sending and receiving from different threads at once");
    void *self = v1_on("lo", 5000);
    pthread_t sender = start_thread(send_numbers, self);
    for (uint32_t i = 0; i < CROSSING; i++) {
        size_t size = 0;
        uint32_t number = 0;
        uint8_t *data = v1_next(self, &size);
        CHECK(size == sizeof number);
        memcpy(&number, data, size);
        CHECK(number == i);
        free(data);
    }
    join(sender);
    iface.destroy(self);
}

static int inside;

static void *receive_until_destroyed(void *self)
{
    size_t size = 0;
    set(&inside, 1);
    CHECK(iface.receive(self, &size) == NULL);
    return NULL;
}

static void destroyed_while_in_use(void)
{
    TOPIC("destroy waits for running calls, and leaks neither threads nor descriptors");
    int threads = count_threads(), descriptors = count_descriptors();
    for (int i = 0; i < 20; i++) {
        void *self = v1_on("lo", 5000);
        set(&inside, 0);
        pthread_t receiver = start_thread(receive_until_destroyed, self);
        EVENTUALLY(value(&inside));
        pause_briefly();
        iface.destroy(self);
        join(receiver);
    }
    EVENTUALLY(count_threads() == threads);
    CHECK(count_descriptors() == descriptors);
}

int main(void)
{
    what_is_exported();
    before_setup();
    refused_setups();
    messages();
    both_at_once();
    destroyed_while_in_use();
    return 0;
}
