/* Helpers of the streams of both contestants: arguments, files, counts, a load. */
#ifndef TRANSFER_H
#define TRANSFER_H

#include "bench.h"
#include <fcntl.h>
#include <sys/mman.h>

/* The default number of bytes per call. */
#define PIECE (256u << 10)
#define MOST_STREAMS 1000

/* The work of each stream. */
static struct {
    size_t streams;
    uint64_t share;     /* bytes per stream */
    size_t piece, step; /* bytes per call; bytes between two checked words */
    int file;           /* the source or target, else -1 */
    bool messages;      /* each piece is read into memory of its own */
} transfer = {.streams = 1, .piece = PIECE, .step = PAGE, .file = -1};

/* The bytes read, and the number of connections that are still open. */
static struct {
    _Atomic uint64_t bytes, bad;
    _Atomic int busy;
} sink;

/* A file of `bytes` bytes whose pages are all in memory: zeros or, with a period, numbered words. Touching
 * a page for the first time costs more than moving it. */
static inline int memory_file(uint64_t bytes, uint64_t period)
{
    int fd = (int)must(memfd_create("bench", MFD_CLOEXEC), "memfd_create");
    size_t size = period ? period : 1 << 20;
    uint8_t *piece = must_allocate(size);
    if (period)
        fill_stream(piece, size, 0);
    for (uint64_t at = 0; at < bytes; at += size)
        must(pwrite(fd, piece, bytes - at < size ? bytes - at : size, (off_t)at), "pwrite");
    free(piece);
    return fd;
}

/* The number of bytes of a file that differ from those that `memory_file` wrote. */
static inline uint64_t check_file(int fd, uint64_t bytes, uint64_t period)
{
    uint8_t *piece = must_allocate(period);
    uint64_t bad = 0;
    for (uint64_t at = 0; at < bytes; at += period) {
        ssize_t size = must(pread(fd, piece, period, (off_t)at), "pread");
        bad += check_stream(piece, (size_t)size, at, period, 8);
    }
    free(piece);
    return bad;
}

/*   streams=N bytes=N   number of streams at once, and the bytes of all of them together
 *   piece=N             bytes per call
 *   file=1              from a file to a file
 *   messages=1          each piece is read into memory of its own
 *   verify=1            every byte is checked */
static inline void transfer_arguments(char **argv, bool far)
{
    transfer.streams = number_argument(argv, "streams", 1);
    if (transfer.streams < 1 || transfer.streams > MOST_STREAMS)
        fail("streams=%zu is not between 1 and %d", transfer.streams, MOST_STREAMS);
    transfer.share = number_argument(argv, "bytes", 1u << 30) / transfer.streams;
    transfer.piece = number_argument(argv, "piece", PIECE);
    transfer.step = number_argument(argv, "verify", 0) ? 8 : PAGE;
    transfer.messages = number_argument(argv, "messages", 0);
    if (number_argument(argv, "file", 0))
        transfer.file = memory_file(transfer.share, far ? 0 : PIECE);
}

/* The reader of a connection has ended. */
static inline void sink_count(uint64_t bytes, uint64_t bad)
{
    if (transfer.file >= 0)
        bad = check_file(transfer.file, bytes, PIECE);
    atomic_fetch_add(&sink.bad, bad);
    atomic_fetch_add(&sink.bytes, bytes);
    atomic_fetch_sub(&sink.busy, 1);
}

static inline void sink_say(void)
{
    while (atomic_load(&sink.busy) > 0)
        usleep(1000);
    say("bytes", atomic_load(&sink.bytes));
    say("bad", atomic_load(&sink.bad));
}

/* Runs a writer for each stream, and prints the time of all of them. */
static inline void transfer_run(void *(*write_one)(void *), void *peer)
{
    pthread_t threads[MOST_STREAMS];
    uint64_t busy = machine_busy_ns(), start = now_ns();
    for (size_t i = 0; i < transfer.streams; i++)
        threads[i] = must_start(write_one, peer);
    for (size_t i = 0; i < transfer.streams; i++)
        pthread_join(threads[i], NULL);
    say("elapsed_ns", now_ns() - start);
    say("machine_busy_ns", machine_busy_ns() - busy);
    say("bytes", transfer.share * transfer.streams);
}

/* Counts the bytes of a writer that runs until the program ends. */
static _Atomic uint64_t load_bytes, load_since;

static inline void load_begin(void *(*write_on)(void *), void *argument)
{
    must_start(write_on, argument);
    while (atomic_load(&load_bytes) < 64 * PIECE)
        usleep(1000);
    atomic_store(&load_bytes, 0);
    atomic_store(&load_since, now_ns());
}

static inline uint64_t load_rate(void)
{
    double seconds = (double)(now_ns() - atomic_load(&load_since)) / 1e9;
    return (uint64_t)((double)atomic_load(&load_bytes) / seconds);
}

#endif
