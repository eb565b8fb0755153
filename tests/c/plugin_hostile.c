/* A peer on plain sockets that sends malformed data to a plugin's data port. */
#include "plugin.h"
#include "process.h"
#include "raw.h"

static void *self;
static int logged;

static void on_log(int32_t level, const char *message, void *user_data)
{
    (void)user_data;
    if (level == DCF_TB_LOG_WARN && (strstr(message, "not a message of a DCF plugin host") != NULL ||
                                     strstr(message, "came") != NULL))
        add(&logged, 1);
}

static int connection(void)
{
    struct sockaddr_in6 to = raw_address("::1", 5001);
    int fd = raw_socket(SOCK_STREAM, "::1", 0);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

static void say(int fd, const void *data, size_t length)
{
    CHECK(send(fd, data, length, MSG_NOSIGNAL) == (ssize_t)length);
}

/* Checks that the plugin resets the connection. */
static void is_reset(int fd)
{
    uint8_t byte;
    ssize_t count = recv(fd, &byte, 1, 0);
    CHECK(count == 0 || (count < 0 && errno == ECONNRESET));
    close(fd);
}

typedef struct header {
    uint8_t bytes[16];
} header;

static header header_of(uint32_t length)
{
    header h = {{'D', 'C', 'F', 'T', 'B', 'M', 'S', 'G', 1, 0, 0, 0, 0, 0, 0, 0}};
    length = htonl(length);
    memcpy(h.bytes + 12, &length, sizeof length);
    return h;
}

static uint64_t rejected(void)
{
    return stats_of(native(self)).rejected_malformed;
}

static uint64_t dropped(void)
{
    return stats_of(native(self)).messages_dropped;
}

static void malformed(void)
{
    TOPIC("a connection that does not begin with a message is reset, counted and logged");
    uint64_t before = rejected();
    for (size_t place = 0; place < 12; place++) {
        header bad = header_of(65508);
        bad.bytes[place] ^= 0x20;
        int fd = connection();
        say(fd, bad.bytes, place + 1); /* the wrong byte is enough */
        is_reset(fd);
        CHECK(rejected() == ++before);
    }
    const uint32_t lengths[] = {0, 1, 65507, 67108865, 0x7fffffff, 0xffffffff};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        header bad = header_of(lengths[i]);
        int fd = connection();
        say(fd, bad.bytes, sizeof bad);
        is_reset(fd);
        CHECK(rejected() == ++before);
    }
    CHECK(value(&logged) >= 1); /* one a second at most */

    TOPIC("malformed data after valid messages, in the same packet");
    static uint8_t many[2 * (16 + 65508) + 16];
    for (uint32_t i = 0; i < 2; i++) {
        header good = header_of(65508);
        memcpy(many + i * (16 + 65508), good.bytes, sizeof good);
        fill(many + i * (16 + 65508) + 16, 65508, i);
    }
    memcpy(many + sizeof many - 16, "GET / HTTP/1.1\r\n", 16);
    int fd = connection();
    say(fd, many, sizeof many);
    is_reset(fd);
    CHECK(rejected() == ++before);
    v1_expect(self, 65508, 0);
    v1_expect(self, 65508, 1);
    CHECK(dropped() == 0);
}

static void cut(void)
{
    TOPIC("a connection that ends within a message: the message is dropped and counted");
    static uint8_t payload[65507];
    uint64_t before = dropped(), malformed_before = rejected();
    const size_t sizes[] = {0, 1, 4096, 65507};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        header good = header_of(65508);
        int fd = connection();
        say(fd, good.bytes, sizeof good);
        say(fd, payload, sizes[i]);
        close(fd);
        before++;
        EVENTUALLY(dropped() == before);
    }
    TOPIC("the same for a connection that is reset within a message");
    struct linger now = {1, 0};
    header good = header_of(65508);
    int fd = connection();
    uint64_t received = stats_of(native(self)).stream_bytes_received;
    say(fd, good.bytes, sizeof good);
    EVENTUALLY(stats_of(native(self)).stream_bytes_received == received + sizeof good);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    close(fd);
    before++;
    EVENTUALLY(dropped() == before);
    CHECK(rejected() == malformed_before);

    TOPIC("half a header counts as malformed, and an empty connection is not counted");
    fd = connection();
    say(fd, good.bytes, 15);
    close(fd);
    EVENTUALLY(rejected() == malformed_before + 1);
    uint64_t accepted = stats_of(native(self)).connections_accepted;
    close(connection());
    EVENTUALLY(stats_of(native(self)).connections_accepted > accepted);
    WITHIN(BEFORE_IDLE_MS, stats_of(native(self)).streams_open == 0);
    CHECK(rejected() == malformed_before + 1 && dropped() == before);
}

enum { LIARS = 50 };

static void lies(void)
{
    TOPIC("headers that claim 64 MiB use no memory, and delay no other sender");
    int liars[LIARS];
    header good = header_of(67108864);
    uint64_t data_before = status_value(0, "VmData", 10), resident_before = resident_kib();
    uint64_t accepted = stats_of(native(self)).connections_accepted;
    for (int i = 0; i < LIARS; i++) {
        liars[i] = connection();
        say(liars[i], good.bytes, sizeof good);
        say(liars[i], "x", 1);
    }
    EVENTUALLY(stats_of(native(self)).connections_accepted == accepted + LIARS);
    CHECK(v1_send(self, "::1", 1 << 20, 1));
    v1_expect(self, 1 << 20, 1);
    /* A thread reserves 2 MiB for its stack and uses little of it. 50 times 64 MiB would be 3 GiB. */
    CHECK(status_value(0, "VmData", 10) - data_before < (LIARS * 8u) << 10);
    CHECK(resident_kib() - resident_before < 64 << 10);
    for (int i = 0; i < LIARS; i++)
        close(liars[i]);
    EVENTUALLY(dropped() >= LIARS);
}

static void a_slow_one(void)
{
    TOPIC("a slow peer delays no other sender, and its message arrives");
    static uint8_t payload[65508];
    header good = header_of(65508);
    int fd = connection(), one = 1;
    CHECK(setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one) == 0);
    fill(payload, sizeof payload, 7);
    for (size_t i = 0; i < sizeof good; i++)
        say(fd, good.bytes + i, 1);
    size_t sent = 0;
    for (uint32_t i = 0; i < 100; i++) {
        say(fd, payload + sent, 13);
        sent += 13;
        CHECK(v1_send(self, "::1", 65508 + i, i));
        v1_expect(self, 65508 + i, i);
    }
    say(fd, payload + sent, sizeof payload - sent);
    v1_expect(self, 65508, 7);

    TOPIC("several messages in one packet");
    static uint8_t two[2 * (16 + 65508)];
    memcpy(two, good.bytes, 16);
    memcpy(two + 16, payload, sizeof payload);
    memcpy(two + 16 + sizeof payload, two, 16 + sizeof payload);
    say(fd, two, sizeof two);
    v1_expect(self, 65508, 7);
    v1_expect(self, 65508, 7);
    close(fd);
}

static void silence(void)
{
    TOPIC("a connection without data is ended, and so is a message that stalls");
    uint64_t malformed_before = rejected(), dropped_before = dropped();
    header good = header_of(65508);
    int silent = connection(), stalled = connection();
    say(stalled, good.bytes, sizeof good);
    is_reset(silent);
    CHECK(rejected() == malformed_before + 1);
    uint8_t byte;
    CHECK(recv(stalled, &byte, 1, 0) <= 0);
    close(stalled);
    EVENTUALLY(dropped() == dropped_before + 1);
}

int main(int count, char **arguments)
{
    (void)arguments;
    self = v1_on("lo", 5000);
    OK(dcf_tb_set_log_callback(native(self), on_log, NULL));
    if (count > 1) {
        silence();
    } else {
        malformed();
        cut();
        lies();
        a_slow_one();
    }
    CHECK(v1_send(self, "::1", 70000, 1));
    v1_expect(self, 70000, 1);
    iface.destroy(self);
    return 0;
}
