/* The threads that do the work. Each runs its turn again and again, until the workers pause or stop. */
#ifndef WORKERS_H
#define WORKERS_H

#include "check.h"

struct worker {
    pthread_t thread;
    void (*turn)(struct worker *self);
    int pauses;
    uint64_t random;
    /* Belongs to the worker, from one turn to the next. */
    void *memory;
};

/* Seeds the random numbers of all workers. */
void workers_seed(uint64_t seed);
/* Starts a worker. One with `pauses` obeys workers_pause; the others serve the peer, and go on. */
void workers_start(void (*turn)(struct worker *self), int pauses);
/* Stops and joins all workers. */
void workers_stop(void);

void workers_pause(void);
void workers_resume(void);
/* The number of workers with `pauses` that are in a turn. */
int workers_busy(void);

/* Turns on or off the signals that interrupt workers all the time. */
void workers_interrupt(int on);
/* While on, threads that call workers_stall wait there. */
void workers_stall_readers(int on);
void workers_stall(void);

/* A random number below `limit`. */
uint64_t below(struct worker *self, uint64_t limit);
/* True with a probability of 1 in `times`. */
int once_in(struct worker *self, uint64_t times);
/* Sleeps for a random time of up to `most_ms` milliseconds. */
void rest(struct worker *self, unsigned most_ms);

#endif
