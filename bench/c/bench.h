/* Helpers of the benchmark's programs: a clock, arguments, results, payloads.
 *
  * Each program has two roles. `far` runs on host B: it prints "ready" when it accepts connections,
  * works until its standard input ends, and prints its counts. `near` runs on host A: it does its
  * work with the peer, prints its measurements, and ends. A result is a line: a name and one or more
  * numbers. */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INTERFACE "thunderbolt0"
#define CONTROL_PORT 5000
#define DATA_PORT 5001

__attribute__((noreturn, format(printf, 1, 2))) static inline void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* Ends the program with the operating system's error text if a call failed. */
static inline long must(long result, const char *what)
{
    if (result < 0)
        fail("%s: %s", what, strerror(errno));
    return result;
}

static inline void *must_allocate(size_t size)
{
    void *memory = NULL;
    if (posix_memalign(&memory, 4096, size ? size : 1) != 0)
        fail("no memory for %zu bytes", size);
    memset(memory, 0, size);
    return memory;
}

static inline pthread_t must_start(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, argument) != 0)
        fail("cannot start a thread");
    return thread;
}

static inline uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Processor time of this process, all threads, in ns. */
static inline uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Busy time of all processors of this machine together, in ns, with a resolution of 10 ms. */
static inline uint64_t machine_busy_ns(void)
{
    FILE *file = fopen("/proc/stat", "r");
    unsigned long long user = 0, nice = 0, system = 0, idle, io, irq = 0, soft = 0;
    if (file == NULL || fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice,
                               &system, &idle, &io, &irq, &soft) != 7)
        fail("cannot read /proc/stat");
    fclose(file);
    return (uint64_t)(user + nice + system + irq + soft) *
           (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Arguments are NAME=VALUE. */
static inline const char *text_argument(char **argv, const char *name, const char *otherwise)
{
    size_t length = strlen(name);
    for (; *argv; argv++)
        if (strncmp(*argv, name, length) == 0 && (*argv)[length] == '=')
            return *argv + length + 1;
    return otherwise;
}

static inline uint64_t number_argument(char **argv, const char *name, uint64_t otherwise)
{
    const char *text = text_argument(argv, name, NULL);
    char *end = NULL;
    if (text == NULL)
        return otherwise;
    uint64_t value = strtoull(text, &end, 0);
    if (end == text || *end != '\0')
        fail("%s=%s is not a number", name, text);
    return value;
}

static inline bool is_far(int argc, char **argv)
{
    if (argc < 2 || (strcmp(argv[1], "far") != 0 && strcmp(argv[1], "near") != 0))
        fail("usage: %s far|near [NAME=VALUE...]", argv[0]);
    return strcmp(argv[1], "far") == 0;
}

/* The peer of the near role: an address without its scope, as the runner passes it. */
static inline const char *peer_argument(char **argv)
{
    const char *peer = text_argument(argv, "peer", NULL);
    if (peer == NULL)
        fail("peer=ADDRESS is missing");
    return peer;
}

static inline void say(const char *name, uint64_t value)
{
    printf("%s %" PRIu64 "\n", name, value);
}

static inline void say_all(const char *name, const uint64_t *values, size_t count)
{
    fputs(name, stdout);
    for (size_t i = 0; i < count; i++)
        printf(" %" PRIu64, values[i]);
    putchar('\n');
}

static inline void say_ready(void)
{
    puts("ready");
    fflush(stdout);
}

/* Waits until the runner closes standard input. */
static inline void wait_for_end(void)
{
    char ignored[256];
    while (read(STDIN_FILENO, ignored, sizeof ignored) > 0)
        continue;
}

/* Messages: a sequence number, then bytes that depend on their position. Both contestants check
 * each message with the same code. */
static inline void fill_message(uint8_t *message, size_t size)
{
    for (size_t i = 0; i < size; i++)
        message[i] = (uint8_t)(i * 7 + 3);
}

static inline void number_message(uint8_t *message, uint64_t number)
{
    memcpy(message, &number, sizeof number);
}

struct arrivals {
    uint64_t count, bytes, bad, first_ns, last_ns;
    uint64_t next; /* the lowest number that may come next */
    size_t size;
    uint8_t *expected;
};

static inline void arrivals_begin(struct arrivals *arrivals, size_t size)
{
    memset(arrivals, 0, sizeof *arrivals);
    arrivals->size = size;
    arrivals->expected = must_allocate(size);
    fill_message(arrivals->expected, size);
}

static inline void arrived(struct arrivals *arrivals, const uint8_t *message, size_t size)
{
    uint64_t number = 0;
    bool good = size == arrivals->size && size >= sizeof number;
    if (good) {
        memcpy(&number, message, sizeof number);
        good = number >= arrivals->next &&
               memcmp(message + sizeof number, arrivals->expected + sizeof number,
                      size - sizeof number) == 0;
    }
    if (good)
        arrivals->next = number + 1;
    else
        arrivals->bad++;
    /* Reading the clock for each message would take half of the measured time. */
    if ((arrivals->count & 15) == 0) {
        arrivals->last_ns = now_ns();
        if (arrivals->first_ns == 0)
            arrivals->first_ns = arrivals->last_ns;
    }
    arrivals->count++;
    arrivals->bytes += size;
}

static inline void arrivals_say(const struct arrivals *arrivals)
{
    say("messages", arrivals->count);
    say("bad", arrivals->bad);
    say("elapsed_ns", arrivals->last_ns - arrivals->first_ns);
}

/* Streams: numbered 8-byte words. Checking all of them would cost more than moving them, so timed
 * runs check one word per page, and a separate run checks every byte. */
#define PAGE 4096

static inline void fill_stream(uint8_t *data, size_t size, uint64_t position)
{
    for (size_t i = 0; i + 8 <= size; i += 8) {
        uint64_t word = position + i;
        memcpy(data + i, &word, 8);
    }
}

/* The number of wrong bytes of `data`, which was read at `position`. Checks every word, or one word
 * per `step` bytes. */
static inline uint64_t check_stream(const uint8_t *data, size_t size, uint64_t position,
                                    uint64_t period, size_t step)
{
    uint64_t bad = 0;
    size_t i = (size_t)((8 - position % 8) % 8);
    for (; i + 8 <= size; i += step) {
        uint64_t word;
        memcpy(&word, data + i, 8);
        bad += word != (position + i) % period;
    }
    return bad * 8;
}

#endif
