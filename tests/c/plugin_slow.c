/* Strangers on plain sockets send large messages slowly, while an honest host sends its own. Arguments: the scene, and
   the crowd. */
#include "plugin.h"
#include "process.h"
#include "raw.h"

#include <fcntl.h>
#include <poll.h>

enum { MIB = 1 << 20, MOST = DCF_TB_PLUGIN_MAX_MESSAGE_SIZE, CROWD = 40, MAX_CROWD = 400 };

/* The address of the plugin; the test adds those of the strangers. */
#define HOST "fe80::d:0"

/* How the strangers send. */
typedef struct habit {
    const char *name;
    int connections, sources;
    bool as_honest;     /* from the address of the honest host */
    uint32_t burst;     /* bytes that they send at the beginning, with the header */
    int every_ms;       /* interval of later writes */
    uint32_t bytes;     /* bytes of each later write */
} habit;

typedef struct stranger {
    int fd;
    uint32_t sent;
    uint64_t next;
} stranger;

static void *honest, *host;
static stranger crowd[MAX_CROWD];
static habit how;
static int stop, ended;

static uint8_t bytes[MIB];

static void header(uint8_t *to, uint32_t length)
{
    memcpy(to, "DCFTBMSG\1\0\0\0", 12);
    length = htonl(length);
    memcpy(to + 12, &length, sizeof length);
}

static const char *source_of(int number)
{
    static char text[INET6_ADDRSTRLEN];
    if (how.as_honest)
        return "::1";
    snprintf(text, sizeof text, "fe80::d:%x", 1 + number % how.sources);
    return text;
}

static int connection(const char *from)
{
    struct sockaddr_in6 to = raw_address(strcmp(from, "::1") == 0 ? from : HOST, 5001);
    int fd = raw_socket(SOCK_STREAM, from, 0), one = 1;
    CHECK(setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one) == 0);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

/* Sends the next `more` bytes of a message that claims the maximum size; false when the host has reset the
   connection. */
static bool goes_on(stranger *one, uint32_t more)
{
    while (more > 0) {
        uint8_t start[16];
        const uint8_t *data = bytes;
        uint32_t length = more < sizeof bytes ? more : (uint32_t)sizeof bytes;
        if (one->sent < sizeof start) {
            header(start, MOST);
            data = start + one->sent;
            if (length > sizeof start - one->sent)
                length = (uint32_t)sizeof start - one->sent;
        }
        ssize_t count = send(one->fd, data, length, MSG_NOSIGNAL);
        if (count < 0)
            return errno == EAGAIN; /* the host makes it wait */
        one->sent += (uint32_t)count;
        more -= (uint32_t)count;
    }
    return true;
}

static bool is_over(const stranger *one)
{
    struct pollfd poll_fd = {one->fd, POLLIN, 0};
    return poll(&poll_fd, 1, 0) != 0;
}

static void *send_slowly(void *unused)
{
    while (!value(&stop)) {
        for (int i = 0; i < how.connections; i++) {
            stranger *one = &crowd[i];
            uint64_t now = milliseconds();
            uint32_t more = 0;
            if (one->fd < 0)
                continue;
            if (one->sent < how.burst) {
                more = how.burst - one->sent;
            } else if (now >= one->next) {
                one->next = now + (uint64_t)how.every_ms;
                more = how.bytes;
            }
            if (is_over(one) || !goes_on(one, more)) {
                close(one->fd);
                one->fd = -1;
                add(&ended, 1);
            }
        }
        pause_briefly();
    }
    return unused;
}

static bool have_all_sent(void)
{
    /* A host that makes them wait has received less. */
    uint64_t most = (uint64_t)how.burst * (uint64_t)how.connections;
    return stats_of(native(host)).stream_bytes_received >= (most < 60 * MIB ? most : 60 * MIB);
}

static pthread_t start_crowd(const habit *habit)
{
    how = *habit;
    set(&stop, 0);
    set(&ended, 0);
    for (int i = 0; i < how.connections; i++) {
        crowd[i].fd = connection(source_of(i));
        crowd[i].sent = 0;
        crowd[i].next = 0;
    }
    return start_thread(send_slowly, NULL);
}

static void end_crowd(pthread_t thread)
{
    set(&stop, 1);
    join(thread);
    for (int i = 0; i < how.connections; i++)
        if (crowd[i].fd >= 0)
            close(crowd[i].fd);
    EVENTUALLY(stats_of(native(host)).streams_open <= 1);
}

static void start_hosts(const char *more)
{
    char parameters[300];
    snprintf(parameters, sizeof parameters,
             "{\"interface\": \"lo\", \"control_port\": 5000, \"stream_dead_after_ms\": 1000%s}", more);
    host = create_plugin();
    CHECK(iface_v1_1.setup(host, parameters, 0));
    honest = v1_on("lo", 6000);
}

static const habit habits[] = {
    {"a byte each 8 s", CROWD, 1, false, MIB + 16 + 1, 8000, 1},
    {"a byte each 8 s, from many addresses", CROWD, CROWD, false, MIB + 16 + 1, 8000, 1},
    {"a byte each 8 s, from the address of the honest host", CROWD, 1, true, MIB + 16 + 1, 8000, 1},
    {"a byte each 10 ms", CROWD, CROWD, false, MIB + 16 + 1, 10, 1},
    {"more than fits at once", CROWD, CROWD, false, 5 * MIB, 8000, 1},
    {"just fast enough", CROWD, CROWD, false, 3 * MIB, 100, 64 << 10},
    {"many that wait", 200, 200, false, 70000, 1000, 16},
};

/* Checks that the honest host's messages arrive, whatever the strangers do. */
static void crowds(const char *which)
{
    size_t number = (size_t)atoi(which);
    CHECK(number < sizeof habits / sizeof habits[0]);
    start_hosts("");
    TOPIC(habits[number].name);
    pthread_t thread = start_crowd(&habits[number]);
    EVENTUALLY(have_all_sent() || value(&ended) > 0);
    for (uint32_t round = 0; round < 3; round++) {
        CHECK(v1_send(honest, "[::1]:5000", MOST, round));
        v1_expect(host, MOST, round);
        CHECK(v1_send(honest, "[::1]:5000", 70000, round));
        v1_expect(host, 70000, round);
    }
    end_crowd(thread);
}

/* Slow messages end even if no other message waits for memory. Each is counted, and its connection reset. */
static void alone(const char *unused)
{
    static const habit slow = {"", 3, 1, false, 100000, 100, 1};
    (void)unused;
    start_hosts("");
    TOPIC("a message that is too slow is dropped and counted, and the connection is reset");
    pthread_t thread = start_crowd(&slow);
    EVENTUALLY(value(&ended) == 3);
    EVENTUALLY(stats_of(native(host)).dropped_slow == 3);
    CHECK(stats_of(native(host)).messages_dropped == 3);
    end_crowd(thread);

    TOPIC("a header that comes byte by byte has a limit as well");
    static const habit dribble = {"", 1, 1, false, 1, 1500, 1};
    uint64_t malformed = stats_of(native(host)).rejected_malformed;
    thread = start_crowd(&dribble);
    EVENTUALLY(value(&ended) == 1);
    CHECK(crowd[0].sent < 16);
    CHECK(stats_of(native(host)).rejected_malformed == malformed + 1);
    CHECK(stats_of(native(host)).messages_dropped == 3);
    end_crowd(thread);
}

/* Connections that use up all places are reset to make room. */
static void places(const char *unused)
{
    (void)unused;
    start_hosts(", \"max_streams\": 64");
    for (int sources = 1; sources <= 400; sources += 399) {
        TOPIC(sources == 1 ? "400 connections from one address" : "400 connections from as many addresses");
        const habit half = {"", 400, sources, false, 1000, 500, 1};
        uint64_t refused = stats_of(native(host)).rejected_max_streams;
        how = half;
        for (int i = 0; i < half.connections; i++) {
            stranger *one = &crowd[i];
            uint64_t taken = stats_of(native(host)).connections_accepted;
            one->fd = connection(source_of(i));
            one->sent = 0;
            CHECK(goes_on(one, 1000));
            /* The threads that make room may lag behind the accepting thread. */
            EVENTUALLY(stats_of(native(host)).connections_accepted > taken &&
                       stats_of(native(host)).streams_open <= 49);
            if (i % 40 == 0) {
                /* The honest host's connection stays if it is in use, and is opened again otherwise. */
                CHECK(v1_send(honest, "[::1]:5000", MIB, (uint32_t)i));
                v1_expect(host, MIB, (uint32_t)i);
            }
        }
        CHECK(stats_of(native(host)).streams_open < 64);
        CHECK(stats_of(native(host)).rejected_max_streams >= refused + 400 - 64);
        for (int i = 0; i < half.connections; i++)
            close(crowd[i].fd);
        EVENTUALLY(stats_of(native(host)).streams_open <= 1);
    }
}

/* A listener with a small buffer, on a plain socket. */
static int listener(uint16_t port)
{
    int fd = raw_socket(SOCK_STREAM, "::1", port), small = 4096;
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
    CHECK(listen(fd, 100) == 0);
    return fd;
}

typedef struct waiting_send {
    ITransport *self;
    const char *to;
    uint32_t limit_ms;
    int status;
} waiting_send;

static void *send_to_reader(void *argument)
{
    waiting_send *send = (waiting_send *)argument;
    send->status = v2_send(send->self, send->to, MOST, 1, send->limit_ms);
    return NULL;
}

/* Peers that read a byte now and then block only the sends to them, until these time out. */
static void readers(const char *unused)
{
    enum { READERS = 40 };
    (void)unused;
    start_hosts(", \"max_streams\": 64");
    int listeners[READERS];
    for (int i = 0; i < READERS; i++)
        listeners[i] = listener((uint16_t)(7001 + 2 * i));

    TOPIC("a peer that reads a byte now and then: other sends to it time out, and sends to others work");
    ITransport *self = v2_on("lo", 9000);
    waiting_send sends[] = {{self, "[::1]:7000", 3000, 0}, {self, "[::1]:7000", 1000, 0}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        threads[i] = start_thread(send_to_reader, &sends[i]);
    int taken = accept(listeners[0], NULL, NULL);
    uint8_t byte;
    CHECK(taken >= 0 && recv(taken, &byte, 1, 0) == 1);
    for (uint32_t i = 0; i < 5; i++) {
        OK(v2_send(self, "[::1]:5000", MIB, i, GENEROUS_MS));
        v1_expect(host, MIB, i);
        CHECK(recv(taken, &byte, 1, 0) == 1);
    }
    for (int i = 0; i < 2; i++) {
        join(threads[i]);
        CHECK(sends[i].status == DCF_TB_ERR_TIMEOUT);
    }

    TOPIC("such peers hold a bounded number of connections of a host that answers them");
    ITransport *few = create_plugin_v2();
    /* The same object accepts JSON parameters. */
    CHECK(iface_v1_1.setup(few->ctx, "{\"interface\": \"lo\", \"control_port\": 9500, \"max_streams\": 64}", 0));
    for (int i = 1; i < READERS; i++) {
        char to[30];
        snprintf(to, sizeof to, "[::1]:%d", 7000 + 2 * i);
        GIVES(DCF_TB_ERR_TIMEOUT, v2_send(few, to, MOST, 1, 100));
        EVENTUALLY(stats_of(native_v2(few)).streams_open <= 64 / 4);
    }
    OK(v2_send(few, "[::1]:5000", MIB, 1, GENEROUS_MS));
    v1_expect(host, MIB, 1);
    few->destroy(few);
    close(taken);
    for (int i = 0; i < READERS; i++)
        close(listeners[i]);
    self->destroy(self);
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        void (*play)(const char *argument);
    } scenes[] = {{"crowd", crowds}, {"alone", alone}, {"places", places}, {"readers", readers}};
    int played = 0;
    CHECK(count == 3);
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
        if (strcmp(scenes[i].name, arguments[1]) == 0) {
            scenes[i].play(arguments[2]);
            played++;
        }
    CHECK(played == 1);
    iface.destroy(honest);
    iface.destroy(host);
    return 0;
}
