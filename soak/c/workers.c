#include "workers.h"

#include "content.h"
#include "counts.h"

enum { WORKERS = 32 };

static struct worker workers[WORKERS];
static int started;
static uint64_t seed_of_all;

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_opens = PTHREAD_COND_INITIALIZER;
static int paused = 1, busy, stopping;
static int interrupting, stalled;

uint64_t below(struct worker *self, uint64_t limit)
{
    self->random = mix(self->random);
    return self->random % limit;
}

int once_in(struct worker *self, uint64_t times)
{
    return below(self, times) == 0;
}

static void sleep_us(uint64_t time)
{
    struct timespec left = {(time_t)(time / 1000000), (long)(time % 1000000) * 1000};
    nanosleep(&left, NULL);
}

void rest(struct worker *self, unsigned most_ms)
{
    sleep_us(below(self, (uint64_t)most_ms * 1000) + 1);
}

/* Waits while workers are paused; false when they stop. */
static int begin_turn(const struct worker *self)
{
    CHECK(pthread_mutex_lock(&gate) == 0);
    while (self->pauses && paused && !stopping)
        CHECK(pthread_cond_wait(&gate_opens, &gate) == 0);
    int go = !stopping;
    busy += go && self->pauses;
    CHECK(pthread_mutex_unlock(&gate) == 0);
    return go;
}

static void end_turn(const struct worker *self)
{
    CHECK(pthread_mutex_lock(&gate) == 0);
    busy -= self->pauses;
    CHECK(pthread_mutex_unlock(&gate) == 0);
}

static void *work(void *worker)
{
    struct worker *self = (struct worker *)worker;
    while (begin_turn(self)) {
        self->turn(self);
        end_turn(self);
    }
    free(self->memory);
    self->memory = NULL;
    return NULL;
}

void workers_seed(uint64_t seed)
{
    seed_of_all = mix(seed);
}

void workers_start(void (*turn)(struct worker *), int pauses)
{
    CHECK(started < WORKERS);
    struct worker *worker = &workers[started++];
    worker->turn = turn;
    worker->pauses = pauses;
    worker->random = mix(seed_of_all + (uint64_t)started);
    worker->thread = start_thread(work, worker);
}

static void change(int *what, int value)
{
    CHECK(pthread_mutex_lock(&gate) == 0);
    *what = value;
    CHECK(pthread_cond_broadcast(&gate_opens) == 0);
    CHECK(pthread_mutex_unlock(&gate) == 0);
}

void workers_pause(void)
{
    change(&paused, 1);
}

void workers_resume(void)
{
    change(&paused, 0);
}

void workers_stop(void)
{
    set(&stalled, 0);
    change(&stopping, 1);
    while (started > 0)
        join(workers[--started].thread);
}

int workers_busy(void)
{
    CHECK(pthread_mutex_lock(&gate) == 0);
    int now = busy;
    CHECK(pthread_mutex_unlock(&gate) == 0);
    return now;
}

static void on_signal(int number)
{
    (void)number;
    count(COUNT_interruptions, 1);
}

/* Interrupts the workers. Lives from the first command `interrupt 1` to the end of the process. */
static void *interrupt(void *unused)
{
    struct worker self = {.random = mix(seed_of_all)};
    while (value(&interrupting)) {
        CHECK(pthread_kill(workers[below(&self, (uint64_t)started)].thread, SIGUSR1) == 0);
        rest(&self, 2);
    }
    return unused;
}

void workers_interrupt(int on)
{
    static pthread_t thread;
    if (on == value(&interrupting))
        return;
    set(&interrupting, on);
    if (on) {
        struct sigaction action;
        memset(&action, 0, sizeof action); /* no SA_RESTART: calls are interrupted */
        action.sa_handler = on_signal;
        CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
        thread = start_thread(interrupt, NULL);
    } else {
        join(thread);
    }
}

void workers_stall_readers(int on)
{
    set(&stalled, on);
}

void workers_stall(void)
{
    while (value(&stalled))
        sleep_us(5000);
}
