/*
 * Memory that runs out on demand. An executable's malloc is everybody's, that of the library too;
 * the C library's own is behind it.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include "check.h"

#include <sys/mman.h>
#include <sys/syscall.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

/* All fail, on every thread. */
static int no_memory_anywhere;
/* Of this thread: how many there will be until one fails, 0: none does; and whether it is then that all
 * fail. */
static __thread int memory_left, memory_ends;
/* How many of this thread's have failed. */
static __thread int memory_refused;

static inline int memory_fails(void)
{
    int fails = value(&no_memory_anywhere);
    if (memory_left > 0 && --memory_left == 0) {
        set(&no_memory_anywhere, memory_ends);
        fails = 1;
    }
    memory_refused += fails;
    if (fails)
        errno = ENOMEM;
    return fails;
}

void *malloc(size_t size)
{
    return memory_fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return memory_fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return memory_fails() ? NULL : __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memory_fails() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    void *made = memory_fails() ? NULL : __libc_memalign(alignment, size);
    if (made != NULL)
        *memory = made;
    return made != NULL ? 0 : ENOMEM;
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (memory_fails())
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}

/* The `n`th allocation of this thread from now on fails, and if `ends` is 1 all after it, everywhere. */
static inline void fail_allocation(int n, int ends)
{
    memory_refused = 0;
    memory_ends = ends;
    memory_left = n;
}

/* Gives memory back; says how many allocations have failed. */
static inline int have_memory(void)
{
    memory_left = 0;
    set(&no_memory_anywhere, 0);
    return memory_refused;
}

#endif
