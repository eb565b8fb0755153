/* The file that both contestants send and receive: in memory, where the system has such files. */
#ifndef FILE_H
#define FILE_H

#include "bench.h"
#include <fcntl.h>
#include <sys/mman.h>

/* A file of `bytes` bytes, all of them in memory already: zeros or, with a period, words that number
 * themselves. A page that is touched for the first time costs more than moving it. */
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

/* The number of bytes of a file that are not what `memory_file` wrote. */
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

#endif
