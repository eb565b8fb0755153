/* gradient_exchange: data-parallel training in its smallest form. Two workers hold the same
   parameters and different data. In each step both compute the gradient of their own data,
      exchange it over a stream, and use the mean, so that both keep the same parameters
   and arrive at the optimum of all data, which neither of them could find alone.

       gradient_exchange 0 PEER [PARAMETERS [STEPS]]    on one host, and on the other
       gradient_exchange 1 PEER [PARAMETERS [STEPS]]    in any order

   Control messages are the barrier before each step: short, and quick. They may be lost, so a worker
      that waits repeats its question, and a callback answers the peer's at any time. The stream carries
      the large data that must arrive.
   Exit code 0: both workers have the same parameters, and those are the optimum. */
#include "example.h"
#include <errno.h>
#include <time.h>

#define PATIENCE_MS 60000 /* for the other worker to start, and for each of its steps */
#define REPEAT_MS 50      /* repeat a question that was not answered in this time */

/* ---- the task: the least of  sum over both workers and all i of  c_i (w_i - t_i)^2 / 2 ---- */

/* A number from 0 to 1 that depends only on `place`. */
static float noise(uint32_t worker, uint32_t i, uint32_t salt)
{
    uint32_t x = i * 2654435761u ^ worker * 0x9E3779B9u ^ salt * 0x85EBCA6Bu;

    x = (x ^ x >> 16) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    return (float)((x ^ x >> 16) >> 8) / 16777216.0f;
}

static float curvature(uint32_t worker, uint32_t i) { return 0.5f + noise(worker, i, 1); }
static float target(uint32_t worker, uint32_t i) { return 2 * noise(worker, i, 2) - 1; }

/* The optimum: where the sum of both gradients is 0. */
static float optimum(uint32_t i)
{
    float c0 = curvature(0, i), c1 = curvature(1, i);

    return (c0 * target(0, i) + c1 * target(1, i)) / (c0 + c1);
}

/* ---- the barrier ---- */

/* Both hosts must mean the same by the bytes: this is sent as it lies in memory, like the
   floats of the stream. One of another byte order shows by `magic`. */
struct note {
    uint32_t magic, worker, is_question;
    uint32_t arrived; /* barriers that the sender has reached; 0 before the first */
    uint32_t parameters, steps;
    uint64_t checksum; /* of the sender's parameters at the last of them */
};
#define MAGIC 0x67726164u

static struct {
    dcf_tb_transport transport;
    const char *peer;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct note own, peers; /* the last barrier of each worker */
    int disagree;
} barrier = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* Runs on the library's receiver thread: records the peer's barrier, and answers with ours. */
static void on_message(const uint8_t *message, size_t len, const char *sender, void *user_data)
{
    struct note note, answer;

    (void)user_data;
    if (len != sizeof note)
        return;
    memcpy(&note, message, sizeof note);
    pthread_mutex_lock(&barrier.lock);
    answer = barrier.own;
    if (note.magic != MAGIC || note.worker == barrier.own.worker ||
        note.parameters != barrier.own.parameters || note.steps != barrier.own.steps) {
        barrier.disagree = 1;
    } else if (note.arrived > barrier.peers.arrived) { /* late notes are ignored */
        barrier.peers = note;
    }
    pthread_cond_signal(&barrier.changed);
    pthread_mutex_unlock(&barrier.lock);
    if (note.is_question) { /* if the answer is lost, the peer repeats the question */
        answer.is_question = 0;
        dcf_tb_send(barrier.transport, sender, (const uint8_t *)&answer, sizeof answer);
    }
}

/* Sends the peer our barrier, with or without a question. */
static void tell(struct note note, uint32_t is_question)
{
    dcf_tb_status status;

    note.is_question = is_question;
    status = dcf_tb_send(barrier.transport, barrier.peer, (const uint8_t *)&note, sizeof note);
    if (status != DCF_TB_ERR_CONNECTION_REFUSED && status != DCF_TB_ERR_HOST_UNREACHABLE)
        check(status); /* the other two mean that it has not started yet */
}

/* Waits up to REPEAT_MS, with the lock held, for the note with the peer's arrival. */
static void wait_for_note(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += REPEAT_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    while (barrier.peers.arrived < barrier.own.arrived && !barrier.disagree &&
           pthread_cond_timedwait(&barrier.changed, &barrier.lock, &until) != ETIMEDOUT)
        continue;
}

/* The next barrier: returns when the peer has reached it too, with the same parameters. */
static void wait_for_peer(uint64_t checksum)
{
    unsigned waited_ms = 0;

    pthread_mutex_lock(&barrier.lock);
    barrier.own.arrived++;
    barrier.own.checksum = checksum;
    tell(barrier.own, 0); /* the peer may wait for this note */
    wait_for_note();
    while (barrier.peers.arrived < barrier.own.arrived && !barrier.disagree && waited_ms < PATIENCE_MS) {
        tell(barrier.own, 1);
        wait_for_note();
        waited_ms += REPEAT_MS;
    }
    if (barrier.peers.arrived == barrier.own.arrived && barrier.peers.checksum != checksum)
        barrier.disagree = 1;
    if (barrier.disagree || barrier.peers.arrived < barrier.own.arrived) {
        fprintf(stderr, "barrier %lu: %s\n", (unsigned long)barrier.own.arrived,
                barrier.disagree ? "the peer has other parameters" : "the peer does not come");
        exit(EXIT_FAILURE);
    }
    pthread_mutex_unlock(&barrier.lock);
}

/* ---- the exchange ---- */

struct sending {
    dcf_tb_stream stream;
    const float *data;
    size_t bytes;
    dcf_tb_status status;
};

static void *send_all(void *argument)
{
    struct sending *sending = argument;
    size_t written;

    sending->status = dcf_tb_stream_write(sending->stream, (const uint8_t *)sending->data, sending->bytes,
                                          PATIENCE_MS, &written);
    return NULL;
}

/* Both send at once. Whoever wrote everything before reading would wait for ever as soon as the data
   are larger than the buffers between us; so writing has a thread of its own. */
static void exchange(dcf_tb_stream stream, const float *own, float *peers, size_t bytes)
{
    struct sending sending = {stream, own, bytes, DCF_TB_OK};
    pthread_t thread;
    size_t have = 0, got;

    if (pthread_create(&thread, NULL, send_all, &sending) != 0) {
        perror("pthread_create");
        exit(EXIT_FAILURE);
    }
    while (have < bytes) {
        check(dcf_tb_stream_read(stream, (uint8_t *)peers + have, bytes - have, PATIENCE_MS, &got));
        have += got;
    }
    pthread_join(thread, NULL);
    if (sending.status != DCF_TB_OK) { /* its last error belongs to the other thread */
        fprintf(stderr, "sending: %s\n", dcf_tb_status_string(sending.status));
        exit(EXIT_FAILURE);
    }
}

/* FNV-1a */
static uint64_t checksum_of(const float *values, size_t count)
{
    const uint8_t *bytes = (const uint8_t *)values;
    uint64_t sum = 0xCBF29CE484222325u;
    size_t i;

    for (i = 0; i < count * sizeof *values; i++)
        sum = (sum ^ bytes[i]) * 0x100000001B3u;
    return sum;
}

int main(int argc, char **argv)
{
    dcf_tb_config config = parse_options(argc, argv, 2, 4, "0|1 PEER [PARAMETERS [STEPS]]");
    uint32_t worker = (uint32_t)number(argument(argc, argv, 0), 0, 0, 1);
    uint32_t count = (uint32_t)number(argument(argc, argv, 2), 1u << 20, 1, 1u << 28);
    uint32_t steps = (uint32_t)number(argument(argc, argv, 3), 30, 1, 1000000);
    float *parameters = calloc(count, sizeof *parameters), error = 0, bound = 1;
    float *own = malloc(count * sizeof *own), *peers = malloc(count * sizeof *peers);
    struct timespec begin, end;
    dcf_tb_stream stream;
    uint8_t rest;
    uint32_t step, i;
    size_t got;
    double seconds;

    if (parameters == NULL || own == NULL || peers == NULL) {
        perror("malloc");
        return EXIT_FAILURE;
    }
    barrier.peer = argument(argc, argv, 1);
    barrier.own.magic = MAGIC;
    barrier.own.worker = worker;
    barrier.own.parameters = count;
    barrier.own.steps = steps;
    barrier.transport = open_until_signal(&config);
    check(dcf_tb_set_message_callback(barrier.transport, on_message, NULL));

    wait_for_peer(checksum_of(parameters, count)); /* the peer has started */
    if (worker == 0)
        check(dcf_tb_accept(barrier.transport, PATIENCE_MS, &stream));
    else
        check(dcf_tb_open_stream(barrier.transport, barrier.peer, 0, &stream));
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (step = 0; step < steps; step++) {
        wait_for_peer(checksum_of(parameters, count));
        for (i = 0; i < count; i++)
            own[i] = curvature(worker, i) * (parameters[i] - target(worker, i));
        exchange(stream, own, peers, count * sizeof *own);
        for (i = 0; i < count; i++) /* a + b is b + a in floating point too: both get the same bits */
            parameters[i] -= (own[i] + peers[i]) / 2;
        bound /= 2; /* mean curvatures are 0.5 to 1.5, so each step at least halves the distance */
    }
    bound += 1e-5f; /* rounding */
    wait_for_peer(checksum_of(parameters, count));
    clock_gettime(CLOCK_MONOTONIC, &end);
    /* If this worker ended now, it could not answer the peer's last question. So it ends when the peer
              has ended its side of the stream, and so has no more questions. */
    check(dcf_tb_stream_finish(stream));
    if (dcf_tb_stream_read(stream, &rest, 1, PATIENCE_MS, &got) != DCF_TB_EOF) {
        fprintf(stderr, "the peer sent more than its gradients\n");
        return EXIT_FAILURE;
    }
    check(dcf_tb_stream_close(stream));
    check(dcf_tb_close(barrier.transport));

    for (i = 0; i < count; i++) {
        float distance = parameters[i] - optimum(i);

        if (distance < 0)
            distance = -distance;
        if (distance > error)
            error = distance;
    }
    seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    printf("worker %lu: %lu steps of %lu parameters in %.3f s, %.1f MB/s each way\n", (unsigned long)worker,
           (unsigned long)steps, (unsigned long)count, seconds,
           (double)count * sizeof *own * steps / seconds / 1e6);
    printf("checksum   %016llx, the same on both workers\n",
           (unsigned long long)checksum_of(parameters, count));
    printf("distance from the optimum of all data: %.9f\n", (double)error);
    free(parameters);
    free(own);
    free(peers);
    return error <= bound ? EXIT_SUCCESS : EXIT_FAILURE;
}
