/* The threads that do the work: they take turns until they are told to pause, or to go home. */
#ifndef CREW_H
#define CREW_H

#include "check.h"

struct worker {
    pthread_t thread;
    void (*turn)(struct worker *self);
    int pauses;
    uint64_t random;
    /* The worker's own, from one turn to the next. */
    void *memory;
};

/* Random numbers of all workers follow from it. */
void crew_seed(uint64_t seed);
/* Starts a worker. One that `pauses` does so between two turns; others serve the peer's work. */
void crew_hire(void (*turn)(struct worker *self), int pauses);
/* Ends and joins them all. */
void crew_dismiss(void);

void crew_pause(void);
void crew_go_on(void);
/* Workers that are in the middle of a turn, of those that pause. */
int crew_busy(void);

/* Interrupts workers by signals all the time, or stops doing so. */
void crew_interrupt(int on);
/* While it is on, whoever comes to crew_stall stands still. */
void crew_stall_readers(int on);
void crew_stall(void);

/* A number below `limit`. */
uint64_t below(struct worker *self, uint64_t limit);
/* True once in so many times. */
int once_in(struct worker *self, uint64_t times);
/* Rests for up to so many milliseconds. */
void rest(struct worker *self, unsigned most_ms);

#endif
