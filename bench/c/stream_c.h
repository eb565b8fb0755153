/* Streams of the yardsticks: a listener with a blocking thread per connection, and writers. */
#ifndef STREAM_C_H
#define STREAM_C_H

#include "raw.h"
#include "transfer.h"
#include <sys/sendfile.h>

static inline void stream_tune(int fd)
{
    int one = 1;
    must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "TCP_NODELAY");
    /* BBR, the default of some systems, paces. The library does not use it either. */
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
    uint8_t *piece = must_allocate(transfer.piece);
    uint64_t position = 0;
    ssize_t size;
    while ((size = read(fd, piece, transfer.piece)) > 0) {
        *bad += check_stream(piece, (size_t)size, position, transfer.piece, transfer.step);
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
    while (position < transfer.share) {
        ssize_t size = splice(fd, NULL, pipes[1], NULL, 1 << 20, SPLICE_F_MOVE);
        if (size <= 0)
            break;
        while (size > 0) {
            off_t at = (off_t)position;
            ssize_t moved = must(splice(pipes[0], NULL, transfer.file, &at, (size_t)size, SPLICE_F_MOVE),
                                 "splice");
            position += (uint64_t)moved;
            size -= moved;
        }
    }
    close(pipes[0]);
    close(pipes[1]);
    return position;
}

/* Reads a connection to its end and answers with the number of bytes, so that the writer knows that
 * all bytes have arrived. */
static inline void *stream_sink(void *argument)
{
    int fd = (int)(intptr_t)argument;
    atomic_fetch_add(&sink.busy, 1);
    uint64_t bad = 0;
    uint64_t position = transfer.file < 0 ? sink_to_memory(fd, &bad) : sink_to_file(fd);
    (void)!write(fd, &position, sizeof position);
    close(fd);
    sink_count(position, bad);
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

/* A writer that runs until the program ends. */
static inline void *stream_load(void *peer)
{
    int fd = stream_connect(peer);
    uint8_t *piece = must_allocate(PIECE);
    fill_stream(piece, PIECE, 0);
    for (;;)
        atomic_fetch_add(&load_bytes, (uint64_t)must(write(fd, piece, PIECE), "write"));
    return NULL;
}

#endif
