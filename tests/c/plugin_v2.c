/* The contract v2: error numbers, senders, timeouts, peers, the descriptor, shutdown. */
#include "plugin.h"

enum { ALREADY = DCF_TB_ERR_ALREADY_INITIALIZED };

static void *const HERE = (void *)&iface;

/* Checks that a receive fails with `expected`, and returns no memory to free. */
static void gives_nothing(ITransport *self, int expected, uint32_t timeout_ms)
{
    uint8_t *data = (uint8_t *)HERE;
    char *sender = (char *)HERE;
    size_t length = 77;
    GIVES(expected, self->receive(self, &data, &length, &sender, timeout_ms));
    CHECK(data == NULL && sender == NULL && length == 0);
}

static bool is_ready(int fd)
{
    struct pollfd entry = {fd, POLLIN, 0};
    return poll(&entry, 1, 0) == 1;
}

static void before_setup(void)
{
    TOPIC("before the setup: 0x0601, false, -1, but the name works");
    ITransport *self = create_plugin_v2();
    CHECK(self != NULL && self->ctx != NULL);
    GIVES(DCF_TB_ERR_NOT_INITIALIZED, self->send(self, NULL, 0, "::1", 1000));
    gives_nothing(self, DCF_TB_ERR_NOT_INITIALIZED, GENEROUS_MS);
    GIVES(DCF_TB_ERR_NOT_INITIALIZED, self->disconnect(self, "::1"));
    GIVES(DCF_TB_ERR_NOT_INITIALIZED, self->shutdown(self));
    CHECK(!self->is_connected(self, "::1"));
    CHECK(self->get_fd(self) == -1);
    CHECK(strcmp(self->get_name(self), "thunderbolt") == 0);
    CHECK(strcmp(self->get_version(self), dcf_tb_version()) == 0);

    TOPIC("setup: a number for each kind of failure");
    GIVES(DCF_TB_ERR_CONFIG_INVALID, self->setup(self, "lo", 0));
    GIVES(DCF_TB_ERR_CONFIG_INVALID, self->setup(self, "lo", 65535));
    GIVES(DCF_TB_ERR_CONFIG_INVALID, self->setup(self, "lo", -1));
    GIVES(DCF_TB_ERR_CONFIG_INVALID, self->setup(self, "fe80::dead%lo", 5000));
    GIVES(DCF_TB_ERR_INTERFACE_NOT_FOUND, self->setup(self, "none0", 5000));
    GIVES(DCF_TB_ERR_INTERFACE_NOT_FOUND, self->setup(self, NULL, 5000));
    CHECK(self->get_fd(self) == -1);
    OK(self->setup(self, "::1%lo", 5000));
    OK(self->setup(self, "lo", 5000));
    GIVES(ALREADY, self->setup(self, "lo", 5002));
    CHECK(error_says("5000"));
    CHECK(strstr(dcf_tb_status_string(ALREADY), "already") != NULL);
    ITransport *other = create_plugin_v2();
    GIVES(DCF_TB_ERR_ADDRESS_IN_USE, other->setup(other, "lo", 5000));
    GIVES(DCF_TB_ERR_NULL_POINTER, other->setup(NULL, "lo", 5000));
    other->destroy(other);
    self->destroy(self);
    self->destroy(NULL);
}

static void messages(void)
{
    TOPIC("the sender of a message can be used as a recipient");
    ITransport *a = v2_on("lo", 5000), *b = v2_on("lo", 6000);
    const size_t sizes[] = {0, 17, 8192, 65507};
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *data = NULL;
        size_t length = 0;
        char *sender = NULL;
        OK(v2_send(a, "[::1%lo]:6000", sizes[i], i, 1000));
        OK(b->receive(b, &data, &length, &sender, DCF_TB_WAIT_FOREVER));
        CHECK(is_message(data, length, sizes[i], i));
        CHECK(strcmp(sender, "[::1%lo]:5000") == 0);
        OK(b->send(b, data, length, sender, 1000));
        free(data);
        free(sender);
        v2_expect(a, "[::1%lo]:6000", sizes[i], i);
    }

    TOPIC("the sender pointer may be NULL, and no other one");
    uint8_t *data = NULL;
    size_t length = 0;
    OK(v2_send(a, "::1", 5, 1, 0));
    OK(a->receive(a, &data, &length, NULL, GENEROUS_MS));
    CHECK(is_message(data, length, 5, 1));
    free(data);
    OK(v2_send(a, "::1", 5, 2, 0));
    GIVES(DCF_TB_ERR_NULL_POINTER, a->receive(a, NULL, &length, NULL, GENEROUS_MS));
    GIVES(DCF_TB_ERR_NULL_POINTER, a->receive(a, &data, NULL, NULL, GENEROUS_MS));
    GIVES(DCF_TB_ERR_NULL_POINTER, a->receive(NULL, &data, &length, NULL, GENEROUS_MS));
    v2_expect(a, "::1%lo", 5, 2); /* it was not lost */

    TOPIC("timeout 0 polls, and an expired timeout gives TIMEOUT");
    gives_nothing(a, DCF_TB_WOULD_BLOCK, 0);
    uint64_t start = milliseconds();
    gives_nothing(a, DCF_TB_ERR_TIMEOUT, 30);
    CHECK(milliseconds() - start >= 29);

    TOPIC("messages that cannot be sent");
    uint8_t *large = (uint8_t *)calloc(1, DCF_TB_PLUGIN_MAX_MESSAGE_SIZE + 1);
    CHECK(large != NULL);
    GIVES(DCF_TB_ERR_MESSAGE_TOO_LARGE,
          a->send(a, large, DCF_TB_PLUGIN_MAX_MESSAGE_SIZE + 1, "::1", 1000));
    GIVES(DCF_TB_ERR_INVALID_ADDRESS, a->send(a, large, 5, "nonsense", 1000));
    GIVES(DCF_TB_ERR_INVALID_ADDRESS, a->send(a, large, 70000, "[::1]:65535", 1000));
    GIVES(DCF_TB_ERR_INTERFACE_NOT_FOUND, a->send(a, large, 70000, "::1%none0", 1000));
    GIVES(DCF_TB_ERR_CONNECTION_REFUSED, a->send(a, large, 70000, "[::1]:7000", 1000));
    GIVES(DCF_TB_ERR_INVALID_ADDRESS, a->send(a, large, 70000, "ff02::1", 1000));
    GIVES(DCF_TB_ERR_NULL_POINTER, a->send(a, large, 5, NULL, 1000));
    GIVES(DCF_TB_ERR_NULL_POINTER, a->send(a, NULL, 5, "::1", 1000));
    free(large);

    TOPIC("a copy of the struct works like the original");
    ITransport copy = *a;
    OK(copy.send(&copy, (const uint8_t *)"copy", 4, "::1", 1000));
    OK(copy.receive(&copy, &data, &length, NULL, GENEROUS_MS));
    CHECK(length == 4 && memcmp(data, "copy", 4) == 0);
    free(data);
    copy.destroy(&copy);
    b->destroy(b);
}

static void descriptor(void)
{
    TOPIC("the descriptor is readable exactly while a receive would not block");
    ITransport *self = v2_on("lo", 5000);
    OK(v2_send(self, "::1", 5, 1, 1000));
    EVENTUALLY(stats_of(native_v2(self)).messages_received == 1);
    int fd = self->get_fd(self);
    CHECK(fd >= 0 && self->get_fd(self) == fd);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    EVENTUALLY(is_ready(fd));
    v2_expect(self, NULL, 5, 1);
    CHECK(!is_ready(fd));
    for (uint32_t i = 0; i < 3; i++)
        OK(v2_send(self, "::1", 70000 - i, i, GENEROUS_MS));
    for (uint32_t i = 0; i < 3; i++) {
        EVENTUALLY(is_ready(fd));
        v2_expect(self, NULL, 70000 - i, i);
    }
    CHECK(!is_ready(fd));
    gives_nothing(self, DCF_TB_WOULD_BLOCK, 0);
    OK(self->shutdown(self));
    CHECK(is_ready(fd) && self->get_fd(self) == fd);
    self->destroy(self);
}

static void peers(void)
{
    TOPIC("a peer is connected once a ping, an answer or a message came from it");
    ITransport *self = v2_on("lo", 5000);
    void *other = v1_on("lo", 6000);
    CHECK(!self->is_connected(self, "::1"));
    int rtt;
    CHECK(iface_v1_1.health_check(other, "[::1]:5000", &rtt));
    CHECK(self->is_connected(self, "::1%lo"));
    CHECK(self->is_connected(self, "[::1%lo]:6000"));
    OK(self->disconnect(self, "::1"));
    CHECK(!self->is_connected(self, "::1"));
    uint64_t ns;
    OK(dcf_tb_measure_rtt(native_v2(self), "[::1]:6000", GENEROUS_MS, &ns));
    CHECK(self->is_connected(self, "::1"));
    OK(self->disconnect(self, "::1"));
    CHECK(v1_send(other, "[::1]:5000", 5, 1));
    v2_expect(self, "[::1%lo]:6000", 5, 1);
    CHECK(self->is_connected(self, "::1"));

    TOPIC("disconnect closes the connections to a peer and from it; they can be opened again");
    OK(v2_send(self, "[::1]:6000", 70000, 2, GENEROUS_MS));
    v1_expect(other, 70000, 2);
    CHECK(v1_send(other, "[::1]:5000", 70000, 3));
    v2_expect(self, NULL, 70000, 3);
    CHECK(stats_of(native_v2(self)).streams_open == 2);
    OK(self->disconnect(self, "::1"));
    WITHIN(BEFORE_IDLE_MS, stats_of(native_v2(self)).streams_open == 0);
    WITHIN(BEFORE_IDLE_MS, stats_of(native(other)).streams_open == 0);
    OK(v2_send(self, "[::1]:6000", 70000, 4, GENEROUS_MS));
    v1_expect(other, 70000, 4);
    CHECK(v1_send(other, "[::1]:5000", 70000, 5));
    v2_expect(self, NULL, 70000, 5);

    TOPIC("unknown peers and invalid strings");
    CHECK(!self->is_connected(self, "fe80::1"));
    CHECK(!self->is_connected(self, "nonsense"));
    CHECK(!self->is_connected(self, NULL));
    OK(self->disconnect(self, "fe80::1"));
    GIVES(DCF_TB_ERR_INVALID_ADDRESS, self->disconnect(self, "nonsense"));
    GIVES(DCF_TB_ERR_NULL_POINTER, self->disconnect(self, NULL));
    iface.destroy(other);
    self->destroy(self);
}

static int waiting;

static void *wait_for_ever(void *self)
{
    add(&waiting, 1);
    gives_nothing((ITransport *)self, DCF_TB_ERR_SHUTDOWN, DCF_TB_WAIT_FOREVER);
    return NULL;
}

static void shutdowns(void)
{
    TOPIC("shutdown wakes waiting calls, and from then on every call gives 0x0604");
    ITransport *self = v2_on("lo", 5000);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = start_thread(wait_for_ever, self);
    EVENTUALLY(value(&waiting) == 4);
    pause_briefly();
    OK(self->shutdown(self));
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    GIVES(DCF_TB_ERR_SHUTDOWN, self->send(self, NULL, 0, "::1", 1000));
    GIVES(DCF_TB_ERR_SHUTDOWN, v2_send(self, "::1", 70000, 1, 1000));
    gives_nothing(self, DCF_TB_ERR_SHUTDOWN, 0);
    GIVES(DCF_TB_ERR_SHUTDOWN, self->disconnect(self, "::1"));
    GIVES(DCF_TB_ERR_SHUTDOWN, self->shutdown(self));
    GIVES(DCF_TB_ERR_SHUTDOWN, self->setup(self, "lo", 5000));
    CHECK(!self->is_connected(self, "::1"));

    TOPIC("the ports are free after the shutdown, before the destroy");
    ITransport *next = v2_on("lo", 5000);
    next->destroy(next);
    self->destroy(self);

    TOPIC("closing the native handle shuts the plugin down");
    self = v2_on("lo", 5000);
    set(&waiting, 0);
    threads[0] = start_thread(wait_for_ever, self);
    EVENTUALLY(value(&waiting) == 1);
    OK(dcf_tb_close(native_v2(self)));
    join(threads[0]);
    GIVES(DCF_TB_ERR_SHUTDOWN, self->send(self, NULL, 0, "::1", 1000));
    CHECK(!self->is_connected(self, "::1"));
    OK(self->shutdown(self));
    self->destroy(self);
}

static void forks(void)
{
    TOPIC("in the child of a fork every call fails at once, and destroy does nothing");
    ITransport *self = v2_on("lo", 5000);
    OK(v2_send(self, "::1", 5, 1, 1000));
    pid_t child = fork();
    if (child == 0) {
        int rtt;
        GIVES(DCF_TB_ERR_FORKED, self->send(self, NULL, 0, "::1", 1000));
        gives_nothing(self, DCF_TB_ERR_FORKED, DCF_TB_WAIT_FOREVER);
        GIVES(DCF_TB_ERR_FORKED, self->setup(self, "lo", 6000));
        GIVES(DCF_TB_ERR_FORKED, self->disconnect(self, "::1"));
        GIVES(DCF_TB_ERR_FORKED, self->shutdown(self));
        CHECK(!self->is_connected(self, "::1") && self->get_fd(self) == -1);
        CHECK(!iface_v1_1.health_check(self->ctx, "::1", &rtt));
        CHECK(create_plugin_v2() == NULL && create_plugin() == NULL);
        self->destroy(self);
        CHECK(strcmp(self->get_name(self), "thunderbolt") == 0); /* the object is still valid */
        fflush(stdout);
        _exit(0);
    }
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    v2_expect(self, NULL, 5, 1);
    self->destroy(self);
}

int main(void)
{
    before_setup();
    messages();
    descriptor();
    peers();
    shutdowns();
    forks();
    return 0;
}
