/*
  * While there is no memory, calls that need some give OUT_OF_MEMORY, calls that need none work, and
  * peers are answered or reset. Afterwards everything works.
 */
#include "memory.h"
#include "process.h"
#include "raw.h"

#include <sys/resource.h>

enum { FLOOD = 3000 };

static dcf_tb_transport t, other;
static peers_of to_other;
static stream_pair pair;
static int no_memory_records, delivered;

static void on_log(int32_t level, const char *message, void *unused)
{
    (void)level, (void)unused;
    if (strstr(message, "memory") != NULL)
        add(&no_memory_records, 1);
}

static void on_message(const uint8_t *message, size_t length, const char *sender, void *unused)
{
    (void)message, (void)length, (void)sender, (void)unused;
    add(&delivered, 1);
}

static void everything_works(void)
{
    uint64_t rtt = 0;
    char text[16];
    size_t length = 0;
    send_text(t, to_other.control, "works");
    do /* messages sent meanwhile may have been dropped */
        OK(dcf_tb_recv(other, (uint8_t *)text, sizeof text, &length, NULL, 0, GENEROUS_MS));
    while (memcmp(text, "works", 5) != 0);
    OK(dcf_tb_measure_rtt(t, to_other.control, GENEROUS_MS, &rtt));
    stream_pair fresh = connect_streams(t, other);
    write_all(fresh.near_end, "four", 4);
    read_exactly(fresh.far_end, text, 4);
    close_pair(fresh);
    dcf_tb_transport fresh_transport = start_on_loopback();
    OK(dcf_tb_close(fresh_transport));
}

static void no_memory_said(dcf_tb_status status)
{
    CHECK(status == DCF_TB_ERR_OUT_OF_MEMORY);
    CHECK(error_says("out of memory"));
}

/* Checks calls of a thread while there is no memory. */
static void refused_or_done(void)
{
    dcf_tb_transport none = 77;
    dcf_tb_stream stream = 77;
    dcf_tb_rtt summary;
    dcf_tb_peer found;
    uint64_t rtt = 77;
    size_t count = 0;
    char bytes[4];
    dcf_tb_config config = loopback_config();
    summary.struct_size = sizeof summary;

    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_close(12345)); /* its error text needs memory */
    no_memory_said(dcf_tb_init(&config, &none));
    no_memory_said(dcf_tb_open_stream(t, to_other.data, GENEROUS_MS, &stream));
    no_memory_said(dcf_tb_measure_rtt(t, "[::1%lo]:9", 1, &rtt));
    no_memory_said(dcf_tb_ping(t, "[::1%lo]:9", 1, 0, 1, &summary));
    no_memory_said(dcf_tb_discover(t, 1, &found, 1, &count));
    CHECK(none == 77 && stream == 77 && rtt == 77);

    write_all(pair.near_end, "four", 4);
    read_exactly(pair.far_end, bytes, 4);
    send_text(t, to_other.control, "meanwhile");
    (void)stats_of(t);
}

static void calls(void)
{
    TOPIC("calls that need memory give OUT_OF_MEMORY, and calls that need none work");
    set(&no_memory_anywhere, 1);
    refused_or_done();
    set(&no_memory_anywhere, 0);
    everything_works();
}

static int ready, go;

static void *first_call(void *unused)
{
    add(&ready, 1);
    EVENTUALLY(value(&go));
    refused_or_done();
    return unused;
}

static void first_calls(void)
{
    TOPIC("a thread that never called the library before");
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = start_thread(first_call, NULL);
    EVENTUALLY(value(&ready) == 3);
    set(&no_memory_anywhere, 1);
    set(&go, 1);
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    set(&no_memory_anywhere, 0);
    everything_works();
}

static void flood(int udp)
{
    struct sockaddr_in6 address = raw_address("::1", control_port(t));
    uint8_t message[100] = {0};
    for (int i = 1; i <= FLOOD; i++) {
        raw_send(udp, message, sizeof message, address);
        if (i % 100 == 0) /* so that the kernel drops none */
            EVENTUALLY(stats_of(t).messages_received % FLOOD == (uint64_t)i % FLOOD);
    }
}

/* Checks that a peer's connection is reset at once. */
static void connection_is_reset(int tcp)
{
    struct sockaddr_in6 address = raw_address("::1", data_port(t));
    char byte;
    if (connect(tcp, (struct sockaddr *)&address, sizeof address) == 0)
        CHECK(recv(tcp, &byte, 1, 0) == -1);
    CHECK(errno == ECONNRESET);
}

static void peers(void)
{
    TOPIC("no memory for the library's threads: messages of peers are dropped, streams are reset, both are counted");
    int udp = raw_socket(SOCK_DGRAM, "::1", 0), tcp[20];
    struct sockaddr_in6 address = raw_address("::1", control_port(t)), from;
    uint8_t ping[16] = {0}, pong[16];
    for (int i = 0; i < 20; i++)
        tcp[i] = raw_socket(SOCK_STREAM, "::1", 0);
    memcpy(ping, PING, sizeof PING);
    OK(dcf_tb_reset_stats(t));
    set(&no_memory_anywhere, 1);
    flood(udp);
    CHECK(stats_of(t).messages_dropped >= FLOOD - 4);
    CHECK(value(&no_memory_records) > 0);
    for (int i = 0; i < 20; i++)
        connection_is_reset(tcp[i]);
    CHECK(stats_of(t).rejected == 20 && stats_of(t).connections_accepted == 0);

    TOPIC("pings are answered, and a callback gets its messages");
    raw_send(udp, ping, sizeof ping, address);
    CHECK(raw_receive(udp, pong, sizeof pong, &from) == 16 && memcmp(pong, PONG, 8) == 0);
    OK(dcf_tb_set_message_callback(t, on_message, NULL));
    EVENTUALLY(value(&delivered) == FLOOD - (int)stats_of(t).messages_dropped);
    int before = value(&delivered);
    OK(dcf_tb_reset_stats(t));
    flood(udp);
    EVENTUALLY(value(&delivered) == before + FLOOD);
    CHECK(stats_of(t).messages_dropped == 0);
    OK(dcf_tb_set_message_callback(t, NULL, NULL));

    TOPIC("memory is back, and everything works");
    set(&no_memory_anywhere, 0);
    for (int i = 0; i < 20; i++)
        close(tcp[i]);
    close(udp);
    everything_works();
}

/* Allocates all memory that this process may have, in smaller and smaller pieces. */
static void *take_everything(void)
{
    void *taken = NULL;
    for (size_t size = 1 << 20; size >= sizeof taken; size /= 2) {
        void **piece;
        while ((piece = (void **)malloc(size)) != NULL) {
            *piece = taken;
            taken = piece;
        }
    }
    return taken;
}

static void address_space(void)
{
    TOPIC("the process has reached its memory limit (RLIMIT_AS)");
    struct rlimit normal, low;
    CHECK(getrlimit(RLIMIT_AS, &normal) == 0);
    low = normal;
    low.rlim_cur = (rlim_t)status_value(0, "VmSize", 10) * 1024 + (4 << 20);
    CHECK(setrlimit(RLIMIT_AS, &low) == 0);
    void *taken = take_everything();
    refused_or_done();
    close_pair(pair);
    OK(dcf_tb_close(other));
    CHECK(setrlimit(RLIMIT_AS, &normal) == 0);
    while (taken != NULL) {
        void *next = *(void **)taken;
        free(taken);
        taken = next;
    }
    other = start_on_loopback();
    to_other = peer_strings(other);
    everything_works();
}

int main(void)
{
    dcf_tb_config config = loopback_config();
    config.on_log = on_log;
    config.log_level = DCF_TB_LOG_DEBUG;
    t = start(&config);
    other = start_on_loopback();
    to_other = peer_strings(other);
    pair = connect_streams(t, other);
    everything_works();
    calls();
    first_calls();
    peers();
    address_space();

    TOPIC("closing needs no memory");
    pair = connect_streams(t, other);
    set(&no_memory_anywhere, 1);
    OK(dcf_tb_close(t));
    OK(dcf_tb_close(other));
    set(&no_memory_anywhere, 0);
    EVENTUALLY(each_library_thread(NULL, NULL) == 0);
    return 0;
}
