/*
  * Blocking calls on threads of their own, and a storm of signals into all of them. Without SA_RESTART,
  * each waiting system call ends with EINTR again and again.
 */
#ifndef SIGNAL_STORM_H
#define SIGNAL_STORM_H

#include "check.h"

#include <sys/syscall.h>

enum { CALLS = 20, TIMEOUT_MS = 300, ENOUGH = 100 };

/* A blocking call on a thread of its own. */
typedef struct waiting {
    const char *name;
    dcf_tb_status (*call)(uint32_t timeout_ms);
    uint32_t timeout_ms;
    int thread, interrupted, done;
    dcf_tb_status status;
    uint64_t took; /* milliseconds */
    pthread_t handle;
} waiting;

#define CALL(words, function) {.name = words, .call = function}

static waiting *storm_over[CALLS];
static int storm_ends;
static pthread_t storm_thread;
static __thread waiting *stormed;

static void on_signal(int signal)
{
    (void)signal;
    if (stormed != NULL)
        add(&stormed->interrupted, 1);
}

static void *storm(void *unused)
{
    while (!value(&storm_ends)) {
        struct timespec time = {0, 20000};
        for (int i = 0; i < CALLS; i++) {
            waiting *w = __atomic_load_n(&storm_over[i], __ATOMIC_SEQ_CST);
            if (w != NULL && value(&w->thread) != 0)
                syscall(SYS_tgkill, getpid(), value(&w->thread), SIGUSR1);
        }
        nanosleep(&time, NULL);
    }
    return unused;
}

static inline void begin_storm(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    storm_thread = start_thread(storm, NULL);
}

static inline void end_storm(void)
{
    set(&storm_ends, 1);
    join(storm_thread);
}

static void *run_call(void *argument)
{
    waiting *w = stormed = (waiting *)argument;
    set(&w->thread, gettid());
    uint64_t begin = milliseconds();
    w->status = w->call(w->timeout_ms);
    w->took = milliseconds() - begin;
    set(&w->done, 1);
    return NULL;
}

/* Starts calls, with or without a timeout. */
static inline void begin_calls(waiting *calls, int count, int limited)
{
    CHECK(count <= CALLS);
    for (int i = 0; i < count; i++) {
        waiting *w = &calls[i];
        w->timeout_ms = limited ? TIMEOUT_MS : DCF_TB_WAIT_FOREVER;
        set(&w->done, 0);
        set(&w->thread, 0);
        set(&w->interrupted, 0);
        w->handle = start_thread(run_call, w);
        __atomic_store_n(&storm_over[i], w, __ATOMIC_SEQ_CST);
    }
}

/* Waits until each call was interrupted many times, and checks that all still wait. */
static inline void all_interrupted(waiting *calls, int count)
{
    for (int i = 0; i < count; i++) {
        EVENTUALLY(value(&calls[i].interrupted) >= ENOUGH);
        if (value(&calls[i].done))
            check_failed(__FILE__, __LINE__, calls[i].name, "a call that waits", calls[i].status);
    }
}

static inline void end_calls(waiting *calls, int count, dcf_tb_status expected)
{
    int interrupted = 0;
    for (int i = 0; i < count; i++) {
        waiting *w = &calls[i];
        EVENTUALLY(value(&w->done));
        printf("  %s: %s, interrupted %d times\n", w->name, dcf_tb_status_string(w->status),
               value(&w->interrupted));
        fflush(stdout);
        CHECK(w->status == expected);
        interrupted += value(&w->interrupted);
        __atomic_store_n(&storm_over[i], NULL, __ATOMIC_SEQ_CST);
        join(w->handle);
    }
    CHECK(interrupted > 0); /* how often depends on how busy the machine is */
}

#endif
