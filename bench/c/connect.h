/* Connecting, an echo of 64 bytes, closing: one after the other, or many at once. */
#ifndef CONNECT_H
#define CONNECT_H

#include "bench.h"

#define ECHO 64
#define THREADS 50

/* Connects, exchanges 64 bytes, and stores the connection in *connection. */
typedef void connect_and_echo(void *peer, uint64_t *connection);
typedef void disconnect(uint64_t connection);

struct burst {
    connect_and_echo *open;
    void *peer;
    size_t count;
    uint64_t slowest;
    uint64_t *connections;
};

static inline void *burst_part(void *argument)
{
    struct burst *part = argument;
    for (size_t i = 0; i < part->count; i++) {
        uint64_t start = now_ns();
        part->open(part->peer, &part->connections[i]);
        uint64_t time = now_ns() - start;
        if (time > part->slowest)
            part->slowest = time;
    }
    return NULL;
}

/* Opens `count` connections from 50 threads that start at once. They stay open until all are open. */
static inline void connect_burst(connect_and_echo *open, disconnect *close_it, void *peer,
                                 size_t count)
{
    struct burst parts[THREADS];
    pthread_t threads[THREADS];
    uint64_t slowest = 0;
    uint64_t *connections = must_allocate(count * sizeof *connections);
    uint64_t start = now_ns();
    for (size_t i = 0; i < THREADS; i++) {
        size_t from = count * i / THREADS, to = count * (i + 1) / THREADS;
        parts[i] = (struct burst){open, peer, to - from, 0, connections + from};
        threads[i] = must_start(burst_part, &parts[i]);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        if (parts[i].slowest > slowest)
            slowest = parts[i].slowest;
    }
    say("burst_ns", now_ns() - start);
    say("slowest_ns", slowest);
    for (size_t i = 0; i < count; i++)
        close_it(connections[i]);
}

static inline void connect_singly(connect_and_echo *open, disconnect *close_it, void *peer,
                                  size_t count)
{
    uint64_t *times = must_allocate(count * sizeof *times), connection;
    for (size_t i = 0; i < count + count / 10; i++) {
        uint64_t start = now_ns();
        open(peer, &connection);
        if (i >= count / 10)
            times[i - count / 10] = now_ns() - start;
        close_it(connection);
    }
    say_all("connect_echo_ns", times, count);
}

static inline void connect_run(connect_and_echo *open, disconnect *close_it, char **argv)
{
    size_t count = number_argument(argv, "count", 1000);
    void *peer = (void *)(uintptr_t)peer_argument(argv);
    if (number_argument(argv, "burst", 0))
        connect_burst(open, close_it, peer, count);
    else
        connect_singly(open, close_it, peer, count);
}

static inline void check_echo(const uint8_t *sent, const uint8_t *echoed)
{
    if (memcmp(sent, echoed, ECHO) != 0)
        fail("the echo is not what was sent");
}

#endif
