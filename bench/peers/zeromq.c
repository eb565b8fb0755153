/* ZeroMQ: REQ and REP for round trips, DEALER to DEALER for one-way data. See peer.h. */
#include "peer.h"
#include <zmq.h>

static struct task task;
static void *context;

static long zmq_must(long result, const char *what)
{
    if (result < 0)
        fail("%s: %s", what, zmq_strerror(zmq_errno()));
    return result;
}

static void set(void *socket, int option, int value)
{
    zmq_must(zmq_setsockopt(socket, option, &value, sizeof value), "zmq_setsockopt");
}

/* A socket that listens on a port or, with a peer, connects to it. */
static void *open_socket(int type, const char *peer, unsigned port)
{
    char url[192];
    void *socket = zmq_socket(context, type);
    if (socket == NULL)
        zmq_must(-1, "zmq_socket");
    set(socket, ZMQ_IPV6, 1);
    set(socket, ZMQ_LINGER, 0);
    if (task.work == STREAM) { /* by default 1,000 messages queue up, which exceeds the caches */
        set(socket, ZMQ_SNDHWM, 16);
        set(socket, ZMQ_RCVHWM, 16);
    }
    snprintf(url, sizeof url, "tcp://[%s]:%u", peer ? peer : "::", port);
    if (peer == NULL) {
        zmq_must(zmq_bind(socket, url), url);
    } else {
        set(socket, ZMQ_RCVTIMEO, PATIENCE_MS);
        set(socket, ZMQ_SNDTIMEO, PATIENCE_MS);
        zmq_must(zmq_connect(socket, url), url);
    }
    return socket;
}

static void *echo(void *socket)
{
    zmq_msg_t message;
    zmq_msg_init(&message);
    for (;;) {
        zmq_must(zmq_msg_recv(&message, socket, 0), "zmq_msg_recv");
        zmq_must(zmq_msg_send(&message, socket, 0), "zmq_msg_send");
    }
    return NULL;
}

static void *sink(void *socket)
{
    zmq_msg_t message;
    zmq_msg_init(&message);
    for (;;) {
        struct arrivals arrivals;
        arrivals_begin(&arrivals, task.size);
        do
            zmq_must(zmq_msg_recv(&message, socket, 0), "zmq_msg_recv");
        while (!task_arrived(&task, &arrivals, zmq_msg_data(&message), zmq_msg_size(&message)));
        zmq_must(zmq_send(socket, NULL, 0, 0), "zmq_send");
        free(arrivals.expected);
    }
    return NULL;
}

static void keep(void *data, void *ignored)
{
    (void)data;
    (void)ignored;
}

/* Sends on one connection for the requested time, and waits for the answer. */
static void *source(void *argument)
{
    unsigned port = DATA_PORT + (unsigned)(uintptr_t)argument;
    void *socket = open_socket(ZMQ_DEALER, task.peer, port);
    uint8_t *data = task_message(&task);
    uint64_t end = now_ns() + task.duration_ns, number = 0;
    for (; number % 64 != 0 || now_ns() < end; number++) {
        if (task.work == STREAM) { /* all pieces are equal, so no copy is needed */
            zmq_msg_t message;
            zmq_msg_init_data(&message, data, task.size, keep, NULL);
            zmq_must(zmq_msg_send(&message, socket, 0), "zmq_msg_send");
        } else {
            number_message(data, number);
            zmq_must(zmq_send(socket, data, task.size, 0), "zmq_send");
        }
    }
    zmq_must(zmq_send(socket, NULL, 0, 0), "zmq_send");
    zmq_must(zmq_recv(socket, NULL, 0, 0), "the answer");
    atomic_fetch_add(&task_sent, number);
    zmq_close(socket);
    return NULL;
}

static uint64_t round_trip(void *socket, uint8_t *ping, uint8_t *pong, uint64_t number)
{
    uint64_t start = now_ns();
    number_message(ping, number);
    zmq_must(zmq_send(socket, ping, task.size, 0), "zmq_send");
    long size = zmq_must(zmq_recv(socket, pong, task.size, 0), "zmq_recv");
    uint64_t rtt = now_ns() - start;
    if ((size_t)size != task.size || memcmp(ping, pong, task.size) != 0)
        fail("the answer is not what was sent");
    return rtt;
}

static void measure_round_trips(void)
{
    size_t warm_up = task.count / 10;
    uint64_t *rtt = must_allocate(task.count * sizeof *rtt);
    uint8_t *ping = task_message(&task), *pong = must_allocate(task.size);
    void *socket = task.work == RTT ? open_socket(ZMQ_REQ, task.peer, CONTROL_PORT) : NULL;
    for (size_t i = 0; i < warm_up + task.count; i++) {
        uint64_t start = now_ns();
        if (task.work == CONNECT)
            socket = open_socket(ZMQ_REQ, task.peer, CONTROL_PORT);
        uint64_t took = round_trip(socket, ping, pong, i);
        if (task.work == CONNECT) {
            took = now_ns() - start;
            zmq_close(socket);
        }
        if (i >= warm_up)
            rtt[i - warm_up] = took;
    }
    say_all(task.work == RTT ? "rtt_ns" : "connect_echo_ns", rtt, task.count);
}

int main(int argc, char **argv)
{
    bool far = is_far(argc, argv);
    task = task_of(far, argv);
    context = zmq_ctx_new();
    zmq_must(zmq_ctx_set(context, ZMQ_IO_THREADS, (int)task.streams), "ZMQ_IO_THREADS");
    if (far) {
        if (task.work == RTT || task.work == CONNECT)
            must_start(echo, open_socket(ZMQ_REP, NULL, CONTROL_PORT));
        else
            for (unsigned i = 0; i < task.streams; i++)
                must_start(sink, open_socket(ZMQ_DEALER, NULL, DATA_PORT + i));
        say_ready();
        wait_for_end();
        task_say_far(&task);
    } else if (task.work == RTT || task.work == CONNECT) {
        measure_round_trips();
    } else {
        task_flow(&task, source);
    }
    return 0;
}
