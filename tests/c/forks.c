/* fork: a child of a process that had a transport is told so; others may do as they like. */
#include "idle_callbacks.h"

#define FORKED(call) GIVES(DCF_TB_ERR_FORKED, call)

static int stop;

static void child_ended_well(pid_t child)
{
    int status = -1;
    CHECK(child > 0);
    EVENTUALLY(waitpid(child, &status, WNOHANG) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void live_once(void)
{
    dcf_tb_transport t = start_on_loopback();
    send_text(t, "::1%lo", "hello");
    expect_text(t, "hello");
    OK(dcf_tb_close(t));
}

/* Every function, in the child of a process that has a transport `t` and a stream `s`. */
static void in_the_child(dcf_tb_transport t, dcf_tb_stream s)
{
    uint8_t byte = 0;
    uint16_t control, data;
    char text[80];
    size_t n = 0;
    int32_t fd = -1;
    uint64_t big = 0;
    dcf_tb_stream stream = 0;
    dcf_tb_transport transport = 0;
    dcf_tb_peer found;
    dcf_tb_stats stats;
    dcf_tb_rtt rtt;
    dcf_tb_datagram datagram = {"::1%lo", &byte, 1};
    dcf_tb_config config;
    stats.struct_size = sizeof stats;
    rtt.struct_size = sizeof rtt;

    CHECK(dcf_tb_abi_version() == DCF_TB_ABI_VERSION);
    CHECK(strcmp(dcf_tb_version(), "1.0.0") == 0);
    CHECK(dcf_tb_status_string(DCF_TB_ERR_FORKED)[0] != '\0');
    OK(dcf_tb_config_init(&config, sizeof config));

    FORKED(dcf_tb_init(&config, &transport));
    FORKED(dcf_tb_init(NULL, &transport));
    FORKED(dcf_tb_is_running(t, &byte));
    FORKED(dcf_tb_interface(t, text, sizeof text, &n));
    FORKED(dcf_tb_ports(t, &control, &data));
    FORKED(dcf_tb_set_message_callback(t, on_message, NULL));
    FORKED(dcf_tb_set_stream_callback(t, on_stream, NULL));
    FORKED(dcf_tb_set_log_callback(t, on_log, NULL));
    FORKED(dcf_tb_set_link_callback(t, on_link, NULL));
    FORKED(dcf_tb_send(t, "::1%lo", &byte, 1));
    FORKED(dcf_tb_send_batch(t, &datagram, 1, &n));
    FORKED(dcf_tb_recv(t, &byte, 1, &n, text, sizeof text, DCF_TB_WAIT_FOREVER));
    FORKED(dcf_tb_event_fd(t, &fd));
    FORKED(dcf_tb_open_stream(t, "::1%lo", GENEROUS_MS, &stream));
    FORKED(dcf_tb_accept(t, DCF_TB_WAIT_FOREVER, &stream));
    FORKED(dcf_tb_stream_write(s, &byte, 1, DCF_TB_WAIT_FOREVER, &n));
    FORKED(dcf_tb_stream_read(s, &byte, 1, DCF_TB_WAIT_FOREVER, &n));
    FORKED(dcf_tb_stream_send_file(s, 0, 0, 1, GENEROUS_MS, &big));
    FORKED(dcf_tb_stream_receive_file(s, 1, 0, 1, GENEROUS_MS, &big));
    FORKED(dcf_tb_stream_finish(s));
    FORKED(dcf_tb_stream_peer(s, text, sizeof text, &n));
    FORKED(dcf_tb_stream_fd(s, &fd));
    FORKED(dcf_tb_stream_detach(s, &fd));
    FORKED(dcf_tb_stream_close(s));
    FORKED(dcf_tb_measure_rtt(t, "::1%lo", GENEROUS_MS, &big));
    FORKED(dcf_tb_ping(t, "::1%lo", 1, 0, GENEROUS_MS, &rtt));
    FORKED(dcf_tb_discover(t, 10, &found, 1, &n));
    FORKED(dcf_tb_get_stats(t, &stats));
    FORKED(dcf_tb_reset_stats(t));
    FORKED(dcf_tb_close(t));
    FORKED(dcf_tb_close(0));
    CHECK(dcf_tb_last_error(text, sizeof text) > 0);
}

static void *keep_busy(void *transport)
{
    dcf_tb_transport t = *(dcf_tb_transport *)transport;
    while (!value(&stop)) {
        dcf_tb_stats stats;
        uint64_t rtt;
        uint8_t text[16];
        size_t length;
        stats.struct_size = sizeof stats;
        OK(dcf_tb_send(t, "::1%lo", (const uint8_t *)"busy", 4));
        OK(dcf_tb_recv(t, text, sizeof text, &length, NULL, 0, GENEROUS_MS));
        OK(dcf_tb_measure_rtt(t, "::1%lo", GENEROUS_MS, &rtt));
        OK(dcf_tb_get_stats(t, &stats));
        CHECK(dcf_tb_close(12345) == DCF_TB_ERR_INVALID_HANDLE);
    }
    return NULL;
}

int main(void)
{
    TOPIC("a process that had no transport may fork, and use the library in parent and child");
    for (int generation = 0; generation < 2; generation++) {
        pid_t child = fork();
        if (child == 0) {
            if (generation == 0) {
                pid_t grandchild = fork();
                if (grandchild == 0) {
                    live_once();
                    exit(0);
                }
                child_ended_well(grandchild);
            }
            live_once();
            exit(0);
        }
        child_ended_well(child);
    }
    live_once();

    TOPIC("a child of a process with a transport is told so by every call, and may exit");
    dcf_tb_transport t = start_on_loopback();
    stream_pair pair = connect_streams(t, t);
    pid_t child = fork();
    if (child == 0) {
        in_the_child(t, pair.near_end);
        exit(0);
    }
    child_ended_well(child);

    TOPIC("also when other threads of the parent were inside the library");
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = start_thread(keep_busy, &t);
    for (int i = 0; i < 50; i++) {
        child = fork();
        if (child == 0) {
            in_the_child(t, pair.near_end);
            exit(0);
        }
        child_ended_well(child);
    }
    set(&stop, 1);
    for (int i = 0; i < 3; i++)
        join(threads[i]);

    TOPIC("the parent goes on as before");
    write_all(pair.near_end, "on", 2);
    char text[2];
    read_exactly(pair.far_end, text, 2);
    OK(dcf_tb_close(t));
    live_once();
    return 0;
}
