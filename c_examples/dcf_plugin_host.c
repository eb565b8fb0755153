/* dcf_plugin_host: acts as a DCF node that loads a transport plugin, by each of the four contracts that its
   loaders have. It loads the library, sets the plugin up, has messages of all sizes come back
      from a peer, and releases everything. Then it repeats that.

       dcf_plugin_host LIBRARY HOST PORT echo             sends every message back, until Ctrl-C
       dcf_plugin_host LIBRARY HOST PORT PEER [ROUNDS]    each contract ROUNDS times (20)

   HOST is an interface, one of this host's addresses on one, or "-" for the default interface. A peer
   is one that echoes, or this very program:

       dcf_plugin_host libdcf_thunderbolt.so.1 lo 5000 ::1

   Only the header is needed to build it. */
#define _POSIX_C_SOURCE 200809L

#include <dcf_plugin.h>
#include <dcf_thunderbolt.h>
#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY_TRIES = 50, DEFAULT_ROUNDS = 20, WAIT_MS = 1000, MAX_DATAGRAM = 65507 };

/* A frame, an envelope, audio, pipes; the largest datagram; the smallest and the largest message that
   go over a connection. The last one is sent in the first round only. */
static const size_t sizes[] = {17, 34, 124, 1400, 8192, 65507, 65508, 1 << 20,
                               DCF_TB_PLUGIN_MAX_MESSAGE_SIZE};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static const char *library_path, *host;
static int port;

/* The first round of each contract prints its steps. */
static int first_round;

static void tell(const char *format, ...)
{
    va_list values;

    if (!first_round)
        return;
    va_start(values, format);
    printf("  ");
    vprintf(format, values);
    printf("\n");
    va_end(values);
}

/* The last error of this thread, which the shared library keeps for every contract. */
static size_t (*last_error)(char *, size_t);

static void fail(const char *what)
{
    char why[512] = "";

    if (last_error != NULL)
        last_error(why, sizeof why);
    fprintf(stderr, "%s failed: %s\n", what, why);
    exit(EXIT_FAILURE);
}

/* ISO C knows no way from an object pointer to a function pointer; POSIX says that they look the
   same, so the bytes are copied. */
static void find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);

    if (symbol == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(EXIT_FAILURE);
    }
    memcpy(function, &symbol, sizeof symbol);
}

static void *load(void)
{
    void *library = dlopen(library_path, RTLD_LAZY);

    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(EXIT_FAILURE);
    }
    tell("dlopen(\"%s\", RTLD_LAZY)", library_path);
    find(library, "dcf_tb_last_error", &last_error);
    return library;
}

static void unload(void *library)
{
    last_error = NULL;
    dlclose(library);
    tell("destroy; dlclose");
}

/* A plugin, with the operations that this program needs, for any contract. */
typedef struct plugin {
    void *library;
    DCFTransportV1 v1;
    DCFTransportV1_1 v1_1;
    void *self; /* for v1 and 1.1 */
    ITransport *v2;
} plugin;

static void send_message(plugin *p, const uint8_t *data, size_t size, const char *peer)
{
    bool sent = p->v2 != NULL ? p->v2->send(p->v2, data, size, peer, 30000) == 0
                              : p->v1.send(p->self, data, size, peer);

    if (!sent)
        fail("send");
}

/* The next message, which the caller frees, or NULL if none came within about a second. */
static uint8_t *receive_message(plugin *p, size_t *size)
{
    uint8_t *data = NULL;
    char *sender = NULL;
    int tries;

    if (p->v2 != NULL) {
        p->v2->receive(p->v2, &data, size, &sender, WAIT_MS);
        free(sender);
        return data;
    }
    for (tries = 0; tries < 10 && data == NULL; tries++)
        data = p->v1.receive(p->self, size);
    return data;
}

/* Sends a message to the peer and waits for its echo. Datagrams may be lost, so they are sent again. Large messages go
   over a connection, so they are only waited for. */
static void exchange(plugin *p, const char *peer, size_t size)
{
    uint8_t *out = malloc(size);
    size_t i;
    int tries, silent, patience = size > MAX_DATAGRAM ? MANY_TRIES : 1;

    if (out == NULL)
        fail("malloc");
    for (i = 0; i < size; i++)
        out[i] = (uint8_t)(i * 31 + i / 251 + size);
    for (tries = 0; tries < MANY_TRIES; tries++) {
        size_t length = 0;
        uint8_t *in;

        send_message(p, out, size, peer);
        for (silent = 0; silent < patience;) {
            bool same;

            in = receive_message(p, &length);
            if (in == NULL) {
                silent++;
                continue;
            }
            same = length == size && memcmp(in, out, size) == 0;
            free(in);
            if (same) {
                free(out);
                return;
            }
            /* An earlier message that was believed to be lost. */
        }
    }
    fprintf(stderr, "a message of %zu bytes did not come back\n", size);
    exit(EXIT_FAILURE);
}

static void exchange_all(plugin *p, const char *peer, int round)
{
    int i, count = round == 0 ? SIZES : SIZES - 1;

    for (i = 0; i < count; i++)
        exchange(p, peer, sizes[i]);
    tell("send, receive, free: %d messages of %zu to %zu bytes came back", count, sizes[0],
         sizes[count - 1]);
}

/* Like loaders that read the host from a configuration: NULL, or a copy that is freed at once. */
static char *copy_of_host(void)
{
    char *copy;

    if (strcmp(host, "-") == 0)
        return NULL;
    copy = malloc(strlen(host) + 1);
    if (copy == NULL)
        fail("malloc");
    return strcpy(copy, host);
}

/* Setting up twice is what DCF does: its plugin manager once, and its client once more. The host string is
   gone after each. */
static void set_up_twice(plugin *p)
{
    int i;

    for (i = 0; i < 2; i++) {
        char *name = copy_of_host();
        bool well = p->v2 != NULL ? p->v2->setup(p->v2, name, port) == 0
                                  : p->v1.setup(p->self, name, port);

        if (!well)
            fail(i == 0 ? "setup" : "the second setup");
        tell("setup(%s, %d)%s", name == NULL ? "NULL" : name, port, i == 0 ? "" : " again");
        free(name);
    }
}

/* The old loader: uses the result of create_plugin as a table of four functions. */
static plugin open_by_old_loader(void)
{
    plugin p = {0};
    void *(*create)(void);
    const char *(*version)(void);

    p.library = load();
    find(p.library, "create_plugin", &create);
    find(p.library, "get_plugin_version", &version);
    if (strcmp(version(), "1.0") != 0)
        fail("get_plugin_version");
    p.self = create();
    if (p.self == NULL)
        fail("create_plugin");
    tell("get_plugin_version: \"1.0\"; create_plugin: an object that begins with its functions");
    memcpy(&p.v1, p.self, sizeof p.v1);
    set_up_twice(&p);
    return p;
}

/* v1 as its header describes it: the table is the symbol `iface`. */
static plugin open_by_v1(void)
{
    plugin p = {0};
    void *(*create)(void);
    const char *(*version)(void);
    DCFTransportV1 *table;

    p.library = load();
    find(p.library, "create_plugin", &create);
    find(p.library, "get_plugin_version", &version);
    find(p.library, "iface", &table);
    if (strcmp(version(), "1.0") != 0)
        fail("get_plugin_version");
    p.self = create();
    if (p.self == NULL)
        fail("create_plugin");
    tell("get_plugin_version: \"1.0\"; create_plugin; its functions are in the symbol iface");
    p.v1 = *table;
    set_up_twice(&p);
    return p;
}

/* The interface in a host string: the whole string, or the part behind the % of an address. */
static const char *interface_name(void)
{
    const char *zone = strchr(host, '%');

    if (strcmp(host, "-") == 0)
        return "thunderbolt0";
    return zone != NULL ? zone + 1 : host;
}

/* The design document, 5.2: parameters in JSON, and health checks. */
static plugin open_by_design_document(void)
{
    plugin p = {0};
    void *(*create)(void);
    DCFTransportV1_1 *table;
    char params[200];

    p.library = load();
    find(p.library, "create_plugin", &create);
    find(p.library, "iface_v1_1", &table);
    p.self = create();
    p.v1_1 = *table;
    snprintf(params, sizeof params,
             "{\"interface\": \"%s\", \"control_port\": %d, \"data_port\": %d, \"unknown\": null}",
             interface_name(), port, port + 1);
    if (p.self == NULL || !p.v1_1.setup(p.self, params, 5000) || !p.v1_1.setup(p.self, params, 0))
        fail("setup");
    tell("create_plugin; its functions are in the symbol iface_v1_1");
    tell("setup(%s), and again", params);
    p.v1.send = p.v1_1.send;
    p.v1.receive = p.v1_1.receive;
    p.v1.destroy = p.v1_1.destroy;
    return p;
}

static plugin open_by_v2(void)
{
    plugin p = {0};
    ITransport *(*create)(void);

    p.library = load();
    find(p.library, "create_plugin_v2", &create);
    p.v2 = create();
    if (p.v2 == NULL || p.v2->get_fd(p.v2) != -1)
        fail("create_plugin_v2");
    tell("create_plugin_v2: an ITransport; no descriptor yet");
    set_up_twice(&p);
    return p;
}

static void close_plugin(plugin *p)
{
    if (p->v2 != NULL)
        p->v2->destroy(p->v2);
    else
        p->v1.destroy(p->self);
    unload(p->library);
}

/* Functions that only some contracts have. */
static void check_health(plugin *p, const char *peer)
{
    int rtt_ms = 0;

    if (!p->v1_1.health_check(p->self, peer, &rtt_ms))
        fail("health_check");
    tell("health_check: %d ms", rtt_ms);
}

/* Receives messages until the descriptor is not readable. */
static void drain(ITransport *v2, int fd)
{
    struct pollfd ready = {0};
    uint8_t *data;
    size_t length;
    char *sender;
    int tries;

    ready.fd = fd;
    ready.events = POLLIN;
    for (tries = 0; tries < MANY_TRIES; tries++) {
        /* A duplicate echo may be queued, and another one may arrive now. */
        while (v2->receive(v2, &data, &length, &sender, 0) == 0) {
            free(data);
            free(sender);
        }
        if (poll(&ready, 1, 0) == 0)
            return;
    }
    fail("get_fd");
}

static void use_v2(plugin *p, const char *peer)
{
    ITransport *v2 = p->v2;
    int fd = v2->get_fd(v2), tries = 0;

    if (!v2->is_connected(v2, peer))
        fail("is_connected");
    if (fd < 0)
        fail("get_fd");
    drain(v2, fd);
    tell("%s %s; is_connected; the descriptor of get_fd is quiet", v2->get_name(v2),
         v2->get_version(v2));
    do /* a late message may come between the two calls */
        if (v2->disconnect(v2, peer) != 0 || ++tries > MANY_TRIES)
            fail("disconnect");
    while (v2->is_connected(v2, peer));
    if (v2->shutdown(v2) != 0)
        fail("shutdown");
    tell("disconnect; shutdown");
}

static const struct {
    const char *name;
    plugin (*open)(void);
    void (*use)(plugin *, const char *);
} contracts[] = {
    {"old loader", open_by_old_loader, NULL},
    {"v1", open_by_v1, NULL},
    {"design document 5.2", open_by_design_document, check_health},
    {"v2", open_by_v2, use_v2},
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

/* Sends every message back to its sender, which only v2 reports. */
static int echo(void)
{
    plugin p = open_by_v2();

    signal(SIGINT, interrupt);
    signal(SIGTERM, interrupt);
    printf("echoing on %s, ports %d and %d\n", interface_name(), port, port + 1);
    fflush(stdout);
    while (!interrupted) {
        uint8_t *data;
        size_t length;
        char *sender;
        char why[512];

        if (p.v2->receive(p.v2, &data, &length, &sender, 100) != 0)
            continue;
        if (p.v2->send(p.v2, data, length, sender, 30000) != 0) {
            last_error(why, sizeof why); /* the sender may be gone */
            printf("%zu bytes from %s were not sent back: %s\n", length, sender, why);
        }
        free(data);
        free(sender);
    }
    close_plugin(&p);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    size_t i;
    int round, rounds;

    if (argc < 5 || argc > 6) {
        fprintf(stderr, "usage: %s LIBRARY HOST PORT echo|PEER [ROUNDS]\n", argv[0]);
        return 2;
    }
    library_path = argv[1];
    host = argv[2];
    port = atoi(argv[3]);
    rounds = argc > 5 ? atoi(argv[5]) : DEFAULT_ROUNDS;
    if (strcmp(argv[4], "echo") == 0)
        return echo();
    for (i = 0; i < sizeof contracts / sizeof contracts[0]; i++) {
        printf("%s\n", contracts[i].name);
        for (round = 0; round < rounds; round++) {
            plugin p;

            first_round = round == 0;
            p = contracts[i].open();
            exchange_all(&p, argv[4], round);
            if (contracts[i].use != NULL)
                contracts[i].use(&p, argv[4]);
            close_plugin(&p);
        }
        printf("  all of it %d times\n", rounds);
        fflush(stdout);
    }
    return EXIT_SUCCESS;
}
