/* Work whose instructions callgrind counts, in one process. The runner tells callgrind in which function
 * to count.
 *
 *   what=send|batch|receive|write count=N */
#include "dcf.h"
#include "raw.h"

#define SIZE 64
#define BATCH 64
#define WRITE 4096

static _Atomic uint64_t received;

static void count_one(const uint8_t *message, size_t length, const char *sender, void *ignored)
{
    (void)message;
    (void)length;
    (void)sender;
    (void)ignored;
    atomic_fetch_add(&received, 1);
}

static void *drain(void *argument)
{
    static uint8_t piece[1 << 16];
    int listener = *(int *)argument;
    int fd = (int)must(accept(listener, NULL, NULL), "accept");
    while (read(fd, piece, sizeof piece) > 0)
        continue;
    return NULL;
}

/* A plain socket that the library sends to. */
static int bound(int type, char *peer, size_t size)
{
    int fd = (int)must(socket(AF_INET6, type | SOCK_CLOEXEC, 0), "socket");
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    socklen_t length = sizeof address;
    must(bind(fd, (struct sockaddr *)&address, length), "bind");
    must(getsockname(fd, (struct sockaddr *)&address, &length), "getsockname");
    snprintf(peer, size, "[::1%%lo]:%u", ntohs(address.sin6_port));
    return fd;
}

static void send_singly(dcf_tb_transport transport, const char *peer, uint64_t count)
{
    uint8_t message[SIZE] = {0};
    for (uint64_t i = 0; i < count; i++)
        dcf_must(dcf_tb_send(transport, peer, message, SIZE), "dcf_tb_send");
}

static void send_batches(dcf_tb_transport transport, const char *peer, uint64_t count)
{
    static uint8_t messages[BATCH][SIZE];
    dcf_tb_datagram datagrams[BATCH];
    size_t sent;
    for (size_t i = 0; i < BATCH; i++)
        datagrams[i] = (dcf_tb_datagram){peer, messages[i], SIZE};
    for (uint64_t i = 0; i < count; i += BATCH)
        dcf_must(dcf_tb_send_batch(transport, datagrams, BATCH, &sent), "dcf_tb_send_batch");
}

/* Send single messages, so that each is received alone. */
static void let_receive(dcf_tb_transport transport, uint64_t count)
{
    uint16_t port, data_port;
    uint8_t message[SIZE] = {0};
    dcf_must(dcf_tb_ports(transport, &port, &data_port), "dcf_tb_ports");
    int fd = (int)must(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
    struct sockaddr_in6 to = {.sin6_family = AF_INET6,
                              .sin6_addr = in6addr_loopback,
                              .sin6_port = htons(port)};
    for (uint64_t i = 0; i < count; i++) {
        must(sendto(fd, message, SIZE, 0, (struct sockaddr *)&to, sizeof to), "sendto");
        while (atomic_load(&received) <= i)
            usleep(100);
    }
}

static void write_stream(dcf_tb_transport transport, const char *peer, uint64_t count)
{
    static uint8_t piece[WRITE];
    dcf_tb_stream stream;
    size_t written;
    dcf_must(dcf_tb_open_stream(transport, peer, 0, &stream), "dcf_tb_open_stream");
    for (uint64_t i = 0; i < count; i++) {
        /* Leave room in the buffer, so that the write is counted and not a wait. */
        usleep(200);
        dcf_must(dcf_tb_stream_write(stream, piece, WRITE, DCF_TB_WAIT_FOREVER, &written),
                 "dcf_tb_stream_write");
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    const char *what = text_argument(argv, "what", "send");
    uint64_t count = number_argument(argv, "count", 2048);
    char peer[64];
    dcf_tb_config config;
    dcf_must(dcf_tb_config_init(&config, sizeof config), "dcf_tb_config_init");
    config.interface_name = "lo";
    config.control_port = config.data_port = 0;
    if (strcmp(what, "receive") == 0)
        config.on_message = count_one;
    dcf_tb_transport transport = dcf_start(&config);
    if (strcmp(what, "send") == 0 || strcmp(what, "batch") == 0) {
        bound(SOCK_DGRAM, peer, sizeof peer);
        if (strcmp(what, "send") == 0)
            send_singly(transport, peer, count);
        else
            send_batches(transport, peer, count);
    } else if (strcmp(what, "receive") == 0) {
        let_receive(transport, count);
    } else if (strcmp(what, "write") == 0) {
        int listener = bound(SOCK_STREAM, peer, sizeof peer);
        must(listen(listener, 1), "listen");
        must_start(drain, &listener);
        write_stream(transport, peer, count);
    } else {
        fail("what=%s is not send, batch, receive or write", what);
    }
    say("count", count);
    return 0;
}
