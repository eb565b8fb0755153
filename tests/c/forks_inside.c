/* fork from inside callbacks, while other threads are in callbacks, and children that keep running. */
#include "forked.h"

static dcf_tb_transport t;
static dcf_tb_stream kept;
static int forks, held, let_go;

/* Forks inside a callback. In the child every call fails; the child then exits. */
static void fork_here(void)
{
    pid_t child = fork();
    if (child == 0) {
        in_the_child(t, kept);
        _exit(0);
    }
    child_ended_well(child);
    add(&forks, 1);
}

static void fork_on_message(const uint8_t *message, size_t length, const char *sender, void *data)
{
    (void)message, (void)length, (void)sender, (void)data;
    fork_here();
}

static void fork_on_stream(dcf_tb_stream stream, const char *peer, void *data)
{
    (void)peer, (void)data;
    fork_here();
    OK(dcf_tb_stream_close(stream));
}

static void fork_on_log(int32_t level, const char *message, void *data)
{
    (void)level, (void)data;
    if (strstr(message, "accepted") != NULL)
        fork_here();
}

static void fork_on_closed(void *data)
{
    (void)data;
    fork_here();
}

static void in_callbacks(void)
{
    TOPIC("fork from inside the message, stream, log and closed callbacks");
    dcf_tb_config config = loopback_config();
    config.log_level = DCF_TB_LOG_DEBUG;
    config.on_closed = fork_on_closed;
    t = start(&config);
    kept = connect_streams(t, t).near_end;
    OK(dcf_tb_set_message_callback(t, fork_on_message, NULL));
    OK(dcf_tb_set_stream_callback(t, fork_on_stream, NULL));
    OK(dcf_tb_set_log_callback(t, fork_on_log, NULL));
    dcf_tb_stream stream = 0;
    for (int round = 1; round <= 3; round++) {
        send_text(t, "::1%lo", "fork");
        OK(dcf_tb_open_stream(t, "::1%lo", GENEROUS_MS, &stream));
        EVENTUALLY(value(&forks) == 3 * round);
    }
    OK(dcf_tb_close(t));
    CHECK(value(&forks) == 10);
}

static void hold(const uint8_t *message, size_t length, const char *sender, void *data)
{
    (void)message, (void)length, (void)sender, (void)data;
    add(&held, 1);
    EVENTUALLY(value(&let_go));
    add(&held, -1);
}

static void *unregister(void *thread)
{
    set((int *)thread, gettid());
    OK(dcf_tb_set_message_callback(t, NULL, NULL));
    return NULL;
}

static void beside_callbacks(void)
{
    TOPIC("fork while one thread is inside a callback, and another waits for it");
    dcf_tb_config config = loopback_config();
    config.on_message = hold;
    int thread = 0;
    t = start(&config);
    kept = connect_streams(t, t).near_end;
    send_text(t, "::1%lo", "in");
    EVENTUALLY(value(&held) == 1);
    pthread_t waiting = start_thread(unregister, &thread);
    EVENTUALLY(asleep(value(&thread)));
    for (int i = 0; i < 10; i++)
        fork_here();
    CHECK(value(&held) == 1);
    set(&let_go, 1);
    join(waiting);
    OK(dcf_tb_close(t));
}

static void children_that_live_on(void)
{
    TOPIC("a running child holds copies of descriptors, but peers still see the close");
    dcf_tb_config config = loopback_config();
    t = start_on_own_ports(&config);
    dcf_tb_transport other = start_on_loopback();
    stream_pair pair = connect_streams(other, t);
    dcf_tb_stream queued = 0; /* which is never accepted */
    OK(dcf_tb_open_stream(other, peer_strings(t).data, GENEROUS_MS, &queued));
    EVENTUALLY(stats_of(t).streams_open == 2);
    int hold_on[2];
    uint8_t byte;
    size_t count = 0;
    CHECK(pipe2(hold_on, O_CLOEXEC) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(hold_on[1]);
        _exit(read(hold_on[0], &byte, 1) == 0 ? 0 : 1); /* until the parent closes its end */
    }
    OK(dcf_tb_close(t));
    GIVES(DCF_TB_EOF, dcf_tb_stream_read(pair.near_end, &byte, 1, GENEROUS_MS, &count));
    GIVES(DCF_TB_EOF, dcf_tb_stream_read(queued, &byte, 1, GENEROUS_MS, &count));
    char peer[64];
    dcf_tb_stream stream = 0;
    snprintf(peer, sizeof peer, "[::1%%lo]:%u", config.data_port);
    GIVES(DCF_TB_ERR_CONNECTION_REFUSED, dcf_tb_open_stream(other, peer, GENEROUS_MS, &stream));

    TOPIC("the control port stays taken until the child ends");
    GIVES(DCF_TB_ERR_ADDRESS_IN_USE, dcf_tb_init(&config, &t));
    CHECK(error_says("UDP control"));
    close(hold_on[1]);
    child_ended_well(child);
    OK(dcf_tb_init(&config, &t));
    OK(dcf_tb_close(t));
    OK(dcf_tb_close(other));
}

int main(void)
{
    in_callbacks();
    beside_callbacks();
    children_that_live_on();
    return 0;
}
