/* Limits the descriptors of this process. */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include "process.h"

#include <sys/resource.h>

static struct rlimit normal;

/* Closes inherited descriptors, so that the open ones have no gaps. */
static inline void begin_with_few_descriptors(void)
{
    CHECK(close_range(3, ~0u, 0) == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, &normal) == 0);
}

static inline void have_descriptors(void)
{
    CHECK(setrlimit(RLIMIT_NOFILE, &normal) == 0);
}

/* Limits the process to `spare` further descriptors. */
static inline void leave(rlim_t spare)
{
    struct rlimit low = normal;
    have_descriptors();
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(next >= 0);
    close(next);
    low.rlim_cur = (rlim_t)next + spare;
    CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
}

#endif
