/* One call of every function, for places where a deadlock would be likely. */
#ifndef EVERY_CALL_H
#define EVERY_CALL_H

#include "check.h"

/* Accepts the statuses that a call of `every_call` may return: success, and those of an empty queue. */
static inline void acceptable(const char *call, int line, dcf_tb_status status)
{
    if (status != DCF_TB_OK && status != DCF_TB_WOULD_BLOCK && status != DCF_TB_ERR_TIMEOUT)
        check_failed(__FILE__, line, call, "success, or a status of an empty queue", status);
}

#define ACCEPTABLE(call) acceptable(#call, __LINE__, (call))

typedef struct callbacks_kept {
    dcf_tb_message_callback on_message;
    dcf_tb_stream_callback on_stream;
    dcf_tb_log_callback on_log;
    dcf_tb_link_callback on_link;
    dcf_tb_peer_callback on_peer;
    void *user_data;
} callbacks_kept;

/*
  * Calls every function on the loopback transport `t`, with the transport `other` as the peer. Sets
  * each callback again to its current function, unless `kept` is NULL.
 */
static inline void every_call(dcf_tb_transport t, dcf_tb_transport other,
                              const callbacks_kept *kept)
{
    uint8_t buffer[64] = {0}, running = 0;
    uint16_t control = 0, data = 0;
    char text[80];
    size_t n = 0;
    int32_t fd = -1;
    uint64_t big = 0;
    dcf_tb_transport extra = 0;
    dcf_tb_stats stats;
    dcf_tb_rtt rtt;
    dcf_tb_peer found;
    dcf_tb_config config;
    dcf_tb_stream stream = 0, detached = 0;
    const peers_of to = peer_strings(other);
    dcf_tb_datagram datagram = {to.control, buffer, 4};
    stats.struct_size = sizeof stats;
    rtt.struct_size = sizeof rtt;

    CHECK(dcf_tb_abi_version() == DCF_TB_ABI_VERSION);
    CHECK(dcf_tb_version()[0] != '\0');
    CHECK(dcf_tb_status_string(DCF_TB_OK)[0] != '\0');
    (void)dcf_tb_last_error(text, sizeof text);
    (void)dcf_tb_last_errno();
    OK(dcf_tb_config_init(&config, sizeof config));
    config.interface_name = "lo";
    config.control_port = config.data_port = 0;
    config.wait_for_interface = 1;
    OK(dcf_tb_init(&config, &extra));
    OK(dcf_tb_close(extra));

    OK(dcf_tb_is_running(t, &running));
    OK(dcf_tb_interface(t, text, sizeof text, &n));
    OK(dcf_tb_ports(t, &control, &data));
    OK(dcf_tb_get_option(t, DCF_TB_OPTION_MAX_STREAMS, &big));
    OK(dcf_tb_set_option(t, DCF_TB_OPTION_MAX_STREAMS, big));
    OK(dcf_tb_set_option(t, DCF_TB_OPTION_BUSY_POLL_US, 50));
    OK(dcf_tb_event_fd(t, &fd));
    OK(dcf_tb_wait_link(t, 1, GENEROUS_MS));
    ACCEPTABLE(dcf_tb_wait_link(t, 0, 1));
    OK(dcf_tb_get_stats(t, &stats));
    OK(dcf_tb_reset_stats(t));
    ACCEPTABLE(dcf_tb_send(t, to.control, buffer, 4));
    ACCEPTABLE(dcf_tb_send_batch(t, &datagram, 1, &n));
    ACCEPTABLE(dcf_tb_recv(t, buffer, sizeof buffer, &n, text, sizeof text, 1));
    dcf_tb_received received;
    ACCEPTABLE(dcf_tb_recv_batch(t, buffer, sizeof buffer, &received, 1, &n, 1));
    ACCEPTABLE(dcf_tb_measure_rtt(t, to.control, GENEROUS_MS, &big));
    ACCEPTABLE(dcf_tb_ping(t, to.control, 2, 0, GENEROUS_MS, &rtt));
    ACCEPTABLE(dcf_tb_discover(t, 1, &found, 1, &n));
    ACCEPTABLE(dcf_tb_discover_first(t, 1, &found, 1, &n));
    ACCEPTABLE(dcf_tb_accept(t, 1, &stream));
    ACCEPTABLE(dcf_tb_last_heard(t, to.control, &big));
    OK(dcf_tb_forget(t, "fe80::1%lo"));

    OK(dcf_tb_open_stream(t, to.data, GENEROUS_MS, &stream));
    OK(dcf_tb_stream_peer(stream, text, sizeof text, &n));
    OK(dcf_tb_stream_fd(stream, &fd));
    void *own = NULL;
    OK(dcf_tb_stream_set_user_data(stream, &own));
    OK(dcf_tb_stream_user_data(stream, &own));
    CHECK(own == &own);
    dcf_tb_stream_stats stream_stats;
    stream_stats.struct_size = sizeof stream_stats;
    OK(dcf_tb_stream_get_stats(stream, &stream_stats));
    OK(dcf_tb_stream_write(stream, buffer, 4, GENEROUS_MS, &n));
    ACCEPTABLE(dcf_tb_stream_read(stream, buffer, 4, 1, &n));
    const dcf_tb_slice slice = {buffer, 4};
    OK(dcf_tb_stream_writev(stream, &slice, 1, GENEROUS_MS, &n));
    ACCEPTABLE(dcf_tb_stream_read_exact(stream, buffer, 4, 1, &n));
    int file = open("/proc/version", O_RDONLY | O_CLOEXEC);
    OK(dcf_tb_stream_send_file(stream, file, 0, 4, GENEROUS_MS, &big));
    close(file);
    file = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ACCEPTABLE(dcf_tb_stream_receive_file(stream, file, 0, 4, 1, &big));
    close(file);
    OK(dcf_tb_stream_finish(stream));
    OK(dcf_tb_stream_close(stream));
    OK(dcf_tb_open_stream(t, to.data, GENEROUS_MS, &detached));
    OK(dcf_tb_stream_detach(detached, &fd));
    close(fd);
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_close(0));

    if (kept != NULL) {
        OK(dcf_tb_set_message_callback(t, kept->on_message, kept->user_data));
        OK(dcf_tb_set_stream_callback(t, kept->on_stream, kept->user_data));
        OK(dcf_tb_set_log_callback(t, kept->on_log, kept->user_data));
        OK(dcf_tb_set_link_callback(t, kept->on_link, kept->user_data));
        OK(dcf_tb_set_peer_callback(t, kept->on_peer, kept->user_data));
    }
}

#endif
