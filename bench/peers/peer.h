/* Helpers of the programs for message libraries: their arguments, and the checks.
 *
 *   work=rtt       count round trips of 16 bytes, request and reply
 *   work=connect   count times: a new socket, 64 bytes there and back, the socket closed
  *   work=messages  messages of `size` bytes for duration_ms, one send each
  *   work=stream    messages of 256 KiB for duration_ms, on `streams` connections with a thread each
 *
  * Both roles take the same arguments. The last two end with an empty message on each connection, which
  * the receiver answers after everything before it has arrived. */
#ifndef PEER_H
#define PEER_H

#include "../c/bench.h"

#define PIECE (256u << 10)
#define PATIENCE_MS 5000

enum work { RTT, CONNECT, MESSAGES, STREAM };

struct task {
    enum work work;
    size_t count, size, streams;
    uint64_t duration_ns;
    char peer[128];
};

/* Totals of all connections. */
static _Atomic uint64_t task_sent, task_messages, task_bytes, task_bad, task_elapsed_ns;

static inline struct task task_of(bool far, char **argv)
{
    static const char *const names[] = {"rtt", "connect", "messages", "stream"};
    const char *name = text_argument(argv, "work", "rtt");
    struct task task = {.work = RTT};
    while (strcmp(name, names[task.work]) != 0)
        if (++task.work > STREAM)
            fail("work=%s is not known", name);
    task.count = number_argument(argv, "count", task.work == CONNECT ? 200 : 10000);
    task.streams = number_argument(argv, "streams", 1);
    task.duration_ns = number_argument(argv, "duration_ms", 1000) * 1000000u;
    task.size = task.work == RTT       ? 16
                : task.work == CONNECT ? 64
                : task.work == STREAM  ? PIECE
                                       : number_argument(argv, "size", 64);
    if (task.size < 8 || task.streams < 1 || task.streams > 64)
        fail("size is at least 8, streams 1 to 64");
    if (!far) { /* a link-local address needs its interface */
        const char *peer = peer_argument(argv);
        snprintf(task.peer, sizeof task.peer, "%s%s", peer,
                 strchr(peer, '%') ? "" : "%" INTERFACE);
    }
    return task;
}

/* The message of this task: for example 16 numbered bytes, or a piece of a stream. */
static inline uint8_t *task_message(const struct task *task)
{
    uint8_t *message = must_allocate(task->size);
    if (task->work == STREAM)
        fill_stream(message, task->size, 0);
    else
        fill_message(message, task->size);
    return message;
}

/* Counts a received message; true if it was the last one. */
static inline bool task_arrived(const struct task *task, struct arrivals *arrivals,
                                const uint8_t *message, size_t size)
{
    if (size > 0 && task->work == MESSAGES) {
        arrived(arrivals, message, size);
    } else if (size > 0) {
        arrivals->count++;
        arrivals->bytes += size;
        arrivals->bad += check_stream(message, size, 0, PIECE, PAGE);
    } else {
        atomic_fetch_add(&task_messages, arrivals->count);
        atomic_fetch_add(&task_bytes, arrivals->bytes);
        atomic_fetch_add(&task_bad, arrivals->bad);
        atomic_fetch_add(&task_elapsed_ns, arrivals->last_ns - arrivals->first_ns);
    }
    return size == 0;
}

static inline void task_say_far(const struct task *task)
{
    if (task->work == MESSAGES) {
        say("messages", task_messages);
        say("elapsed_ns", task_elapsed_ns);
    } else if (task->work == STREAM) {
        say("bytes", task_bytes);
    }
    say("bad", task_bad);
}

static inline void task_say_near(const struct task *task, uint64_t elapsed_ns)
{
    if (task->work == MESSAGES) {
        say("sent", task_sent);
    } else {
        say("bytes", task_sent * task->size);
        say("elapsed_ns", elapsed_ns);
    }
}

/* Runs a sender for each connection, and prints the results. */
static inline void task_flow(const struct task *task, void *(*source)(void *))
{
    pthread_t threads[64];
    uint64_t start = now_ns();
    for (uintptr_t i = 0; i < task->streams; i++)
        threads[i] = must_start(source, (void *)i);
    for (size_t i = 0; i < task->streams; i++)
        pthread_join(threads[i], NULL);
    task_say_near(task, now_ns() - start);
}

#endif
