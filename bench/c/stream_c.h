/* Streams of the yardsticks: a listener with a blocking thread a connection, and writers. */
#ifndef STREAM_C_H
#define STREAM_C_H

#include "file.h"
#include "raw.h"
#include <sys/sendfile.h>

/* What both contestants write and read at a time, unless told otherwise. */
#define PIECE (256u << 10)

static struct {
    size_t piece, step;  /* bytes a call; bytes from one checked word to the next */
    int file;            /* where to, else -1 */
    uint64_t file_bytes; /* that come then */
    _Atomic uint64_t bytes, bad;
    _Atomic int busy; /* connections that are being read or checked */
} sink = {.piece = PIECE, .step = PAGE, .file = -1};

static inline void stream_tune(int fd)
{
    int one = 1;
    must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "TCP_NODELAY");
    /* BBR, the default of some systems, paces; the library does not use it either. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
}

static inline int stream_connect(const char *peer)
{
    int fd = raw_socket(SOCK_STREAM);
    struct sockaddr_in6 to = raw_address(peer, DATA_PORT);
    stream_tune(fd);
    must(connect(fd, (struct sockaddr *)&to, sizeof to), "connect");
    return fd;
}

static inline uint64_t sink_to_memory(int fd, uint64_t *bad)
{
    uint8_t *piece = must_allocate(sink.piece);
    uint64_t position = 0;
    ssize_t size;
    while ((size = read(fd, piece, sink.piece)) > 0) {
        *bad += check_stream(piece, (size_t)size, position, sink.piece, sink.step);
        position += (uint64_t)size;
    }
    free(piece);
    return position;
}

static inline uint64_t sink_to_file(int fd)
{
    uint64_t position = 0;
    int pipes[2];
    must(pipe2(pipes, O_CLOEXEC), "pipe2");
    (void)fcntl(pipes[0], F_SETPIPE_SZ, 1 << 20);
    while (position < sink.file_bytes) {
        ssize_t size = splice(fd, NULL, pipes[1], NULL, 1 << 20, SPLICE_F_MOVE);
        if (size <= 0)
            break;
        while (size > 0) {
            off_t at = (off_t)position;
            ssize_t moved = must(splice(pipes[0], NULL, sink.file, &at, (size_t)size, SPLICE_F_MOVE),
                                 "splice");
            position += (uint64_t)moved;
            size -= moved;
        }
    }
    close(pipes[0]);
    close(pipes[1]);
    return position;
}

/* Reads a connection to its end and answers with the number of bytes, so that the writer knows
 * that all has arrived. */
static inline void *stream_sink(void *argument)
{
    int fd = (int)(intptr_t)argument;
    atomic_fetch_add(&sink.busy, 1);
    uint64_t bad = 0;
    uint64_t position = sink.file < 0 ? sink_to_memory(fd, &bad) : sink_to_file(fd);
    (void)!write(fd, &position, sizeof position);
    if (sink.file >= 0)
        bad = check_file(sink.file, position, PIECE);
    atomic_fetch_add(&sink.bad, bad);
    atomic_fetch_add(&sink.bytes, position);
    close(fd);
    atomic_fetch_sub(&sink.busy, 1);
    return NULL;
}

static inline void *stream_accept(void *argument)
{
    int listener = (int)(intptr_t)argument, fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        pthread_detach(must_start(stream_sink, (void *)(intptr_t)fd));
    return NULL;
}

static inline void stream_sink_start(void)
{
    int fd = raw_bound(SOCK_STREAM, DATA_PORT);
    stream_tune(fd);
    must(listen(fd, 4096), "listen");
    must_start(stream_accept, (void *)(intptr_t)fd);
}

static inline void sink_say(void)
{
    while (atomic_load(&sink.busy) > 0)
        usleep(1000);
    say("bytes", atomic_load(&sink.bytes));
    say("bad", atomic_load(&sink.bad));
}

/* A writer that goes on until the program ends. */
static _Atomic uint64_t load_bytes, load_since;

static inline void *stream_load(void *argument)
{
    int fd = stream_connect(argument);
    uint8_t *piece = must_allocate(PIECE);
    fill_stream(piece, PIECE, 0);
    for (;;)
        atomic_fetch_add(&load_bytes, (uint64_t)must(write(fd, piece, PIECE), "write"));
    return NULL;
}

static inline void stream_load_start(const char *peer)
{
    must_start(stream_load, (void *)(uintptr_t)peer);
    while (atomic_load(&load_bytes) < 64 * PIECE)
        usleep(1000);
    atomic_store(&load_bytes, 0);
    atomic_store(&load_since, now_ns());
}

static inline uint64_t stream_load_rate(void)
{
    double seconds = (double)(now_ns() - atomic_load(&load_since)) / 1e9;
    return (uint64_t)((double)atomic_load(&load_bytes) / seconds);
}

#endif
