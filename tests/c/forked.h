/* Checks of every function in the child of a fork. */
#ifndef FORKED_H
#define FORKED_H

#include "idle_callbacks.h"
#include "process.h"

#define FORKED(call) GIVES(DCF_TB_ERR_FORKED, call)

static inline void child_ended_well(pid_t child)
{
    int status = -1;
    CHECK(child > 0);
    EVENTUALLY(waitpid(child, &status, WNOHANG) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static inline void live_once(void)
{
    dcf_tb_transport t = start_on_loopback();
    send_text(t, "::1%lo", "hello");
    expect_text(t, "hello");
    OK(dcf_tb_close(t));
}

/* Calls every function in the child of a process that has a transport `t` and a stream `s`. */
static inline void in_the_child(dcf_tb_transport t, dcf_tb_stream s)
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
    FORKED(dcf_tb_wait_link(t, 0, DCF_TB_WAIT_FOREVER));
    FORKED(dcf_tb_wait_link(t, 2, 0));
    FORKED(dcf_tb_set_option(t, DCF_TB_OPTION_LOG_LEVEL, 1));
    FORKED(dcf_tb_get_option(t, DCF_TB_OPTION_LOG_LEVEL, &big));
    FORKED(dcf_tb_set_message_callback(t, on_message, NULL));
    FORKED(dcf_tb_set_stream_callback(t, on_stream, NULL));
    FORKED(dcf_tb_set_log_callback(t, on_log, NULL));
    FORKED(dcf_tb_set_link_callback(t, on_link, NULL));
    FORKED(dcf_tb_set_peer_callback(t, on_peer, NULL));
    FORKED(dcf_tb_last_heard(t, "::1%lo", &big));
    FORKED(dcf_tb_forget(t, "::1%lo"));
    FORKED(dcf_tb_send(t, "::1%lo", &byte, 1));
    FORKED(dcf_tb_send_batch(t, &datagram, 1, &n));
    FORKED(dcf_tb_recv(t, &byte, 1, &n, text, sizeof text, DCF_TB_WAIT_FOREVER));
    dcf_tb_received received;
    FORKED(dcf_tb_recv_batch(t, &byte, 1, &received, 1, &n, DCF_TB_WAIT_FOREVER));
    FORKED(dcf_tb_event_fd(t, &fd));
    FORKED(dcf_tb_open_stream(t, "::1%lo", GENEROUS_MS, &stream));
    FORKED(dcf_tb_accept(t, DCF_TB_WAIT_FOREVER, &stream));
    FORKED(dcf_tb_stream_write(s, &byte, 1, DCF_TB_WAIT_FOREVER, &n));
    FORKED(dcf_tb_stream_read(s, &byte, 1, DCF_TB_WAIT_FOREVER, &n));
    FORKED(dcf_tb_stream_read_exact(s, &byte, 1, DCF_TB_WAIT_FOREVER, &n));
    FORKED(dcf_tb_stream_writev(s, NULL, 0, DCF_TB_WAIT_FOREVER, &n));
    FORKED(dcf_tb_stream_send_file(s, 0, 0, 1, GENEROUS_MS, &big));
    FORKED(dcf_tb_stream_receive_file(s, 1, 0, 1, GENEROUS_MS, &big));
    FORKED(dcf_tb_stream_finish(s));
    FORKED(dcf_tb_stream_peer(s, text, sizeof text, &n));
    FORKED(dcf_tb_stream_fd(s, &fd));
    void *own = NULL;
    FORKED(dcf_tb_stream_set_user_data(s, &own));
    FORKED(dcf_tb_stream_user_data(s, &own));
    CHECK(own == NULL);
    dcf_tb_stream_stats stream_stats;
    stream_stats.struct_size = sizeof stream_stats;
    FORKED(dcf_tb_stream_get_stats(s, &stream_stats));
    FORKED(dcf_tb_stream_detach(s, &fd));
    FORKED(dcf_tb_stream_close(s));
    FORKED(dcf_tb_measure_rtt(t, "::1%lo", GENEROUS_MS, &big));
    FORKED(dcf_tb_ping(t, "::1%lo", 1, 0, GENEROUS_MS, &rtt));
    FORKED(dcf_tb_discover(t, 10, &found, 1, &n));
    FORKED(dcf_tb_discover_first(t, 10, &found, 1, &n));
    FORKED(dcf_tb_get_stats(t, &stats));
    FORKED(dcf_tb_reset_stats(t));
    FORKED(dcf_tb_close(t));
    FORKED(dcf_tb_close(0));
    CHECK(dcf_tb_last_error(text, sizeof text) > 0);
}

#endif
