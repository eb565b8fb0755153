/*
  * Allocations that fail on demand. The executable's malloc replaces the C library's, for the library
  * too, and calls it.
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

/* All allocations fail, on every thread. */
static int no_memory_anywhere;
/* Of this thread: after how many allocations one fails (0: never), and whether all allocations fail
 * from then on. */
static __thread int memory_left, memory_ends;
/* The number of failed allocations of this thread. */
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

/* Makes the `n`th allocation of this thread fail, and if `ends` is 1 all later ones on every thread. */
static inline void fail_allocation(int n, int ends)
{
    memory_refused = 0;
    memory_ends = ends;
    memory_left = n;
}

/* Lets allocations succeed again; returns how many have failed. */
static inline int have_memory(void)
{
    memory_left = 0;
    set(&no_memory_anywhere, 0);
    return memory_refused;
}

#endif
