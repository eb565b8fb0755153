/*
  * Helpers of every C test: checks that report what failed and why, transports on the loopback
  * interface, threads, and requests to the test that started this program.
 *
 * Every test compiles as C99, C11 and C++17.
 */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "dcf_thunderbolt.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The time after which a call or a condition counts as hanging. It matters only in failures. */
enum { GENEROUS_MS = 30000 };

#define CHECK(condition) \
    ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition, NULL, DCF_TB_OK))
/* The call must return `expected`. */
#define GIVES(expected, call) check_status(__FILE__, __LINE__, #call, #expected, (expected), (call))
#define OK(call) GIVES(DCF_TB_OK, call)
/* Waits until the condition holds. */
#define EVENTUALLY(condition) WITHIN(GENEROUS_MS, condition)
/*
 * The same with a limit, which has to be shorter than any other mechanism takes to make the condition true, such as
 * a time-out of the library: the check is about what happened before.
 */
#define WITHIN(limit_ms, condition)                                                      \
    do {                                                                                 \
        uint64_t check_start = milliseconds();                                           \
        while (!(condition)) {                                                           \
            if (milliseconds() - check_start > (limit_ms))                               \
                check_failed(__FILE__, __LINE__, "eventually " #condition, NULL, DCF_TB_OK); \
            pause_briefly();                                                             \
        }                                                                                \
    } while (0)
/* Prints the topic of the following checks. */
#define TOPIC(text) (printf("- %s\n", text), (void)fflush(stdout))

static inline uint64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline void pause_briefly(void)
{
    struct timespec time = {0, 1000000};
    nanosleep(&time, NULL);
}

static inline void check_failed(const char *file, int line, const char *text, const char *expected,
                                dcf_tb_status status)
{
    char error[1024];
    dcf_tb_last_error(error, sizeof error);
    printf("%s:%d: failed: %s\n", file, line, text);
    if (expected != NULL)
        printf("  expected %s, got 0x%04X: %s\n", expected, (unsigned)status,
               dcf_tb_status_string(status));
    printf("  last error of this thread: \"%s\" (errno %d)\n", error, (int)dcf_tb_last_errno());
    fflush(stdout);
    _exit(1);
}

static inline void check_status(const char *file, int line, const char *call, const char *name,
                                dcf_tb_status expected, dcf_tb_status status)
{
    if (status != expected)
        check_failed(file, line, call, name, status);
}

/* Whether this thread's last error contains `part`. */
static inline int error_says(const char *part)
{
    char error[2048];
    dcf_tb_last_error(error, sizeof error);
    return strstr(error, part) != NULL;
}

/* Sends a request to the test that started this program, and waits for the answer. */
static inline void ask(const char *question, char *answer, size_t size)
{
    char line[256];
    printf("? %s\n", question);
    fflush(stdout);
    CHECK(fgets(line, sizeof line, stdin) != NULL);
    line[strcspn(line, "\n")] = '\0';
    if (answer != NULL)
        snprintf(answer, size, "%s", line);
}

static inline void request(const char *question)
{
    ask(question, NULL, 0);
}

/* Settings for a transport on the loopback interface, with ports that the kernel chooses. */
static inline dcf_tb_config loopback_config(void)
{
    dcf_tb_config config;
    OK(dcf_tb_config_init(&config, sizeof config));
    config.interface_name = "lo";
    config.control_port = 0;
    config.data_port = 0;
    return config;
}

static inline dcf_tb_transport start(const dcf_tb_config *config)
{
    dcf_tb_transport transport = 0;
    OK(dcf_tb_init(config, &transport));
    return transport;
}

static inline dcf_tb_transport start_on_loopback(void)
{
    dcf_tb_config config = loopback_config();
    return start(&config);
}

/*
  * Starts a transport on fixed ports, and puts them into `config`. They are below the ephemeral range,
  * so they stay free after the transport is closed. Both ports have the same number.
 */
static inline dcf_tb_transport start_on_own_ports(dcf_tb_config *config)
{
    static int tried;
    dcf_tb_transport transport = 0;
    dcf_tb_status status;
    do {
        int port = 10000 + (getpid() * 16 + tried++) % 20000;
        config->control_port = config->data_port = (uint16_t)port;
        status = dcf_tb_init(config, &transport);
        CHECK(status == DCF_TB_OK || status == DCF_TB_ERR_ADDRESS_IN_USE);
        CHECK(tried < 1000);
    } while (status != DCF_TB_OK);
    return transport;
}

static inline uint16_t control_port(dcf_tb_transport transport)
{
    uint16_t control = 0, data = 0;
    OK(dcf_tb_ports(transport, &control, &data));
    return control;
}

static inline uint16_t data_port(dcf_tb_transport transport)
{
    uint16_t control = 0, data = 0;
    OK(dcf_tb_ports(transport, &control, &data));
    return data;
}

/* Peer strings of a transport on the loopback interface, for another one. */
typedef struct peers_of {
    char control[80];
    char data[80];
} peers_of;

static inline peers_of peer_strings(dcf_tb_transport transport)
{
    peers_of peers;
    snprintf(peers.control, sizeof peers.control, "[::1%%lo]:%u", control_port(transport));
    snprintf(peers.data, sizeof peers.data, "[::1%%lo]:%u", data_port(transport));
    return peers;
}

static inline dcf_tb_stats stats_of(dcf_tb_transport transport)
{
    dcf_tb_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;
    OK(dcf_tb_get_stats(transport, &stats));
    return stats;
}

static inline void send_text(dcf_tb_transport transport, const char *peer, const char *text)
{
    OK(dcf_tb_send(transport, peer, (const uint8_t *)text, strlen(text)));
}

/* The next message must be `text`. */
static inline void expect_text(dcf_tb_transport transport, const char *text)
{
    uint8_t buffer[65507];
    size_t length = 0;
    OK(dcf_tb_recv(transport, buffer, sizeof buffer, &length, NULL, 0, GENEROUS_MS));
    CHECK(length == strlen(text));
    CHECK(memcmp(buffer, text, length) == 0);
}

/* Both ends of a stream: `near_end` opened it, and `far_end` was accepted. */
typedef struct stream_pair {
    dcf_tb_stream near_end;
    dcf_tb_stream far_end;
} stream_pair;

static inline stream_pair connect_streams(dcf_tb_transport from, dcf_tb_transport to)
{
    stream_pair pair = {0, 0};
    OK(dcf_tb_open_stream(from, peer_strings(to).data, GENEROUS_MS, &pair.near_end));
    OK(dcf_tb_accept(to, GENEROUS_MS, &pair.far_end));
    return pair;
}

static inline void close_pair(stream_pair pair)
{
    OK(dcf_tb_stream_close(pair.near_end));
    OK(dcf_tb_stream_close(pair.far_end));
}

static inline void write_all(dcf_tb_stream stream, const void *data, size_t length)
{
    size_t written = 0;
    OK(dcf_tb_stream_write(stream, (const uint8_t *)data, length, GENEROUS_MS, &written));
    CHECK(written == length);
}

static inline void read_exactly(dcf_tb_stream stream, void *data, size_t length)
{
    size_t done = 0;
    while (done < length) {
        size_t count = 0;
        OK(dcf_tb_stream_read(stream, (uint8_t *)data + done, length - done, GENEROUS_MS, &count));
        CHECK(count > 0 && count <= length - done);
        done += count;
    }
}

/* Fills a buffer with bytes that depend on their position and on `seed`. */
static inline void fill(uint8_t *data, size_t length, uint32_t seed)
{
    uint32_t state = seed * 2654435761u + 1;
    for (size_t i = 0; i < length; i++) {
        state = state * 1664525u + 1013904223u;
        data[i] = (uint8_t)(state >> 24);
    }
}

/* Counters that threads share. */
static inline int value(const int *counter)
{
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

static inline void set(int *counter, int number)
{
    __atomic_store_n(counter, number, __ATOMIC_SEQ_CST);
}

static inline int add(int *counter, int number)
{
    return __atomic_add_fetch(counter, number, __ATOMIC_SEQ_CST);
}

static inline pthread_t start_thread(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, function, argument) == 0);
    return thread;
}

static inline void join(pthread_t thread)
{
    CHECK(pthread_join(thread, NULL) == 0);
}

#endif
