/* nng: REQ and REP for round trips, PAIR for one-way data. See peer.h. */
#include "peer.h"
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

static struct task task;

static void nng_must(int error, const char *what)
{
    if (error != 0)
        fail("%s: %s", what, nng_strerror(error));
}

/* A socket that listens on a port or, with a peer, connects to it. */
static nng_socket open_socket(int (*protocol)(nng_socket *), const char *peer, unsigned port)
{
    char url[192];
    nng_socket socket;
    nng_must(protocol(&socket), "nng_open");
    nng_must(nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, 0), "NNG_OPT_RECVMAXSZ");
    snprintf(url, sizeof url, "tcp://[%s]:%u", peer ? peer : "::", port);
    if (peer == NULL) {
        nng_must(nng_listen(socket, url, NULL, 0), url);
    } else {
        nng_must(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, PATIENCE_MS), "NNG_OPT_RECVTIMEO");
        nng_must(nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, PATIENCE_MS), "NNG_OPT_SENDTIMEO");
        nng_must(nng_dial(socket, url, NULL, 0), url);
    }
    return socket;
}

static void *echo(void *argument)
{
    nng_socket socket = *(nng_socket *)argument;
    for (;;) {
        nng_msg *message;
        nng_must(nng_recvmsg(socket, &message, 0), "nng_recvmsg");
        nng_must(nng_sendmsg(socket, message, 0), "nng_sendmsg");
    }
    return NULL;
}

static void *sink(void *argument)
{
    nng_socket socket = *(nng_socket *)argument;
    for (;;) {
        struct arrivals arrivals;
        bool ended = false;
        arrivals_begin(&arrivals, task.size);
        while (!ended) {
            nng_msg *message;
            nng_must(nng_recvmsg(socket, &message, 0), "nng_recvmsg");
            ended = task_arrived(&task, &arrivals, nng_msg_body(message), nng_msg_len(message));
            nng_msg_free(message);
        }
        nng_must(nng_send(socket, task.peer, 0, 0), "nng_send");
        free(arrivals.expected);
    }
    return NULL;
}

/* Sends on one connection for the requested time, and waits for the answer. */
static void *source(void *argument)
{
    unsigned port = DATA_PORT + (unsigned)(uintptr_t)argument;
    nng_socket socket = open_socket(nng_pair0_open, task.peer, port);
    uint8_t *data = task_message(&task);
    uint64_t end = now_ns() + task.duration_ns, number = 0;
    size_t size = task.size;
    for (; number % 64 != 0 || now_ns() < end; number++) {
        if (task.work == MESSAGES)
            number_message(data, number);
        nng_must(nng_send(socket, data, task.size, 0), "nng_send");
    }
    nng_must(nng_send(socket, data, 0, 0), "nng_send");
    nng_must(nng_recv(socket, data, &size, 0), "the answer");
    atomic_fetch_add(&task_sent, number);
    nng_close(socket);
    return NULL;
}

static uint64_t round_trip(nng_socket socket, uint8_t *ping, uint8_t *pong, uint64_t number)
{
    size_t size = task.size;
    uint64_t start = now_ns();
    number_message(ping, number);
    nng_must(nng_send(socket, ping, task.size, 0), "nng_send");
    nng_must(nng_recv(socket, pong, &size, 0), "nng_recv");
    uint64_t rtt = now_ns() - start;
    if (size != task.size || memcmp(ping, pong, size) != 0)
        fail("the answer is not what was sent");
    return rtt;
}

static void measure_round_trips(void)
{
    size_t warm_up = task.count / 10;
    uint64_t *rtt = must_allocate(task.count * sizeof *rtt);
    uint8_t *ping = task_message(&task), *pong = must_allocate(task.size);
    nng_socket socket = NNG_SOCKET_INITIALIZER;
    if (task.work == RTT)
        socket = open_socket(nng_req0_open, task.peer, CONTROL_PORT);
    for (size_t i = 0; i < warm_up + task.count; i++) {
        uint64_t start = now_ns();
        if (task.work == CONNECT)
            socket = open_socket(nng_req0_open, task.peer, CONTROL_PORT);
        uint64_t took = round_trip(socket, ping, pong, i);
        if (task.work == CONNECT) {
            took = now_ns() - start;
            nng_close(socket);
        }
        if (i >= warm_up)
            rtt[i - warm_up] = took;
    }
    say_all(task.work == RTT ? "rtt_ns" : "connect_echo_ns", rtt, task.count);
}

int main(int argc, char **argv)
{
    bool far = is_far(argc, argv);
    nng_socket sockets[64];
    task = task_of(far, argv);
    if (far) {
        if (task.work == RTT || task.work == CONNECT) {
            sockets[0] = open_socket(nng_rep0_open, NULL, CONTROL_PORT);
            must_start(echo, &sockets[0]);
        } else {
            for (unsigned i = 0; i < task.streams; i++) {
                sockets[i] = open_socket(nng_pair0_open, NULL, DATA_PORT + i);
                must_start(sink, &sockets[i]);
            }
        }
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
