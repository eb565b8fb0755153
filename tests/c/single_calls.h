/* One call of each kind, for processes that lack a resource, with its preparation and its checks. */
#ifndef SINGLE_CALLS_H
#define SINGLE_CALLS_H

#include "check.h"

static dcf_tb_transport t, other, extra, sink;
static peers_of to, to_sink;
static stream_pair pair;
static dcf_tb_stream stream;
static int file, appending, null_device, calls;
static uint8_t data[256];

static void on_log(int32_t level, const char *message, void *unused)
{
    (void)level, (void)message, (void)unused;
}

static void on_message(const uint8_t *message, size_t length, const char *sender, void *unused)
{
    (void)message, (void)length, (void)sender, (void)unused;
}

/* A transport whose streams are never accepted. */
static void end_stream(dcf_tb_stream accepted, const char *peer, void *unused)
{
    (void)peer, (void)unused;
    OK(dcf_tb_stream_close(accepted));
}

/* A peer string that this thread has not used before. */
static const char *new_peer(void)
{
    static char peer[64];
    snprintf(peer, sizeof peer, "[::1%%lo]:%d", 20000 + calls++ % 10000);
    return peer;
}

static dcf_tb_status in_init(void)
{
    dcf_tb_config config = loopback_config();
    config.on_log = on_log;
    return dcf_tb_init(&config, &extra);
}

static void close_extra(dcf_tb_status status)
{
    if (status == DCF_TB_OK)
        OK(dcf_tb_close(extra));
}

static void with_extra(void)
{
    extra = start_on_loopback();
    (void)connect_streams(extra, other);
}

static dcf_tb_status in_close(void) { return dcf_tb_close(extra); }

static dcf_tb_status in_send(void) { return dcf_tb_send(t, to.control, data, 100); }

static dcf_tb_status in_send_new(void) { return dcf_tb_send(t, new_peer(), data, 100); }

static dcf_tb_status in_send_bad(void) { return dcf_tb_send(t, "nobody", data, 100); }

static dcf_tb_status in_send_batch(void)
{
    static dcf_tb_datagram batch[300];
    static char peers[300][80];
    size_t sent;
    for (int i = 0; i < 300; i++) {
        snprintf(peers[i], sizeof peers[i], "%s", i % 3 == 0 ? new_peer() : to.control);
        batch[i].peer = peers[i];
        batch[i].data = data;
        batch[i].len = (size_t)(i % 100);
    }
    return dcf_tb_send_batch(t, batch, 300, &sent);
}

static void with_message(void)
{
    uint8_t byte[8];
    size_t length;
    while (dcf_tb_recv(t, byte, sizeof byte, &length, NULL, 0, 0) == DCF_TB_OK)
        continue;
    send_text(other, peer_strings(t).control, "in");
}

static dcf_tb_status in_recv(void)
{
    size_t length;
    char sender[80];
    return dcf_tb_recv(t, data, sizeof data, &length, sender, sizeof sender, GENEROUS_MS);
}

static dcf_tb_status in_recv_nothing(void)
{
    size_t length;
    return dcf_tb_recv(t, data, sizeof data, &length, NULL, 0, 1);
}

static dcf_tb_status in_open_stream(void)
{
    return dcf_tb_open_stream(t, to_sink.data, GENEROUS_MS, &stream);
}

static void close_stream(dcf_tb_status status)
{
    if (status == DCF_TB_OK)
        OK(dcf_tb_stream_close(stream));
}

static dcf_tb_status in_open_refused(void)
{
    return dcf_tb_open_stream(t, "[::1%lo]:1", GENEROUS_MS, &stream);
}

static void with_connection(void)
{
    dcf_tb_stream near_end;
    OK(dcf_tb_open_stream(other, peer_strings(t).data, GENEROUS_MS, &near_end));
}

static dcf_tb_status in_accept(void) { return dcf_tb_accept(t, GENEROUS_MS, &stream); }

static dcf_tb_status in_write(void)
{
    size_t written;
    return dcf_tb_stream_write(pair.near_end, data, 100, GENEROUS_MS, &written);
}

static void with_bytes(void) { write_all(pair.far_end, "four", 4); }

static dcf_tb_status in_read(void)
{
    size_t count;
    return dcf_tb_stream_read(pair.near_end, data, 4, GENEROUS_MS, &count);
}

static dcf_tb_status in_send_file(void)
{
    uint64_t sent;
    return dcf_tb_stream_send_file(pair.near_end, file, 0, 100, GENEROUS_MS, &sent);
}

static dcf_tb_status receive_into(int fd)
{
    uint64_t received;
    return dcf_tb_stream_receive_file(pair.near_end, fd, 0, 4, GENEROUS_MS, &received);
}

static dcf_tb_status in_receive_file(void) { return receive_into(file); }

static dcf_tb_status in_receive_to_append(void) { return receive_into(appending); }

static dcf_tb_status in_receive_to_device(void) { return receive_into(null_device); }

/* The bytes that a file refused are still in the stream, or the stream has ended. No byte is skipped. */
static void nothing_lost(dcf_tb_status status)
{
    if (status == DCF_TB_OK)
        return;
    size_t count = 0;
    memset(data, 0, sizeof data);
    status = dcf_tb_stream_read(pair.near_end, data, sizeof data, GENEROUS_MS, &count);
    CHECK(status == DCF_TB_CANCELLED || (count == 4 && memcmp(data, "four", 4) == 0));
    close_pair(pair);
    pair = connect_streams(t, other);
}

static dcf_tb_status in_measure_rtt(void)
{
    uint64_t rtt;
    return dcf_tb_measure_rtt(t, to.control, GENEROUS_MS, &rtt);
}

static dcf_tb_status in_measure_rtt_new(void)
{
    uint64_t rtt;
    return dcf_tb_measure_rtt(t, new_peer(), 1, &rtt);
}

static dcf_tb_status in_ping(void)
{
    dcf_tb_rtt summary;
    summary.struct_size = sizeof summary;
    return dcf_tb_ping(t, to.control, 10, 10, GENEROUS_MS, &summary);
}

static dcf_tb_status in_discover(void)
{
    dcf_tb_peer found;
    size_t count;
    return dcf_tb_discover(t, 1, &found, 1, &count);
}

static dcf_tb_status in_facts(void)
{
    dcf_tb_stats stats;
    uint8_t running;
    uint16_t control, port;
    char name[16];
    size_t length;
    int32_t fd;
    stats.struct_size = sizeof stats;
    OK(dcf_tb_get_stats(t, &stats));
    OK(dcf_tb_reset_stats(t));
    uint64_t streams;
    OK(dcf_tb_get_option(t, DCF_TB_OPTION_MAX_STREAMS, &streams));
    OK(dcf_tb_set_option(t, DCF_TB_OPTION_MAX_STREAMS, streams));
    dcf_tb_status heard = dcf_tb_last_heard(t, "::1", &streams);
    CHECK(heard == DCF_TB_OK || heard == DCF_TB_WOULD_BLOCK);
    OK(dcf_tb_forget(t, "::1"));
    OK(dcf_tb_is_running(t, &running));
    OK(dcf_tb_ports(t, &control, &port));
    OK(dcf_tb_interface(t, name, sizeof name, &length));
    OK(dcf_tb_stream_peer(pair.near_end, (char *)data, sizeof data, &length));
    OK(dcf_tb_stream_fd(pair.near_end, &fd));
    void *own;
    OK(dcf_tb_stream_set_user_data(pair.near_end, data));
    OK(dcf_tb_stream_user_data(pair.near_end, &own));
    dcf_tb_stream_stats figures;
    figures.struct_size = sizeof figures;
    OK(dcf_tb_stream_get_stats(pair.near_end, &figures));
    return dcf_tb_event_fd(t, &fd);
}

static dcf_tb_status in_set_callbacks(void)
{
    OK(dcf_tb_set_message_callback(t, on_message, NULL));
    OK(dcf_tb_set_message_callback(t, NULL, NULL));
    OK(dcf_tb_set_link_callback(t, NULL, NULL));
    OK(dcf_tb_set_peer_callback(t, NULL, NULL));
    return dcf_tb_set_log_callback(t, on_log, NULL);
}

static void with_stream(void) { stream = connect_streams(t, other).near_end; }

static dcf_tb_status in_finish_and_close(void)
{
    OK(dcf_tb_stream_finish(stream));
    return dcf_tb_stream_close(stream);
}

static dcf_tb_status in_detach(void)
{
    int32_t fd = -1;
    dcf_tb_status status = dcf_tb_stream_detach(stream, &fd);
    close(fd);
    return status;
}

static void close_kept(dcf_tb_status status)
{
    if (status != DCF_TB_OK)
        OK(dcf_tb_stream_close(stream));
}

static dcf_tb_status in_bad_handle(void) { return dcf_tb_close(12345); }

static const struct scene {
    const char *name;
    void (*before)(void);
    dcf_tb_status (*call)(void);
    void (*after)(dcf_tb_status);
    dcf_tb_status usual;
    dcf_tb_status by_peer; /* the status when the peer, which is in this process, lacks the resource */
} scenes[] = {
    {"init", NULL, in_init, close_extra, DCF_TB_OK, DCF_TB_OK},
    {"close", with_extra, in_close, NULL, DCF_TB_OK, DCF_TB_OK},
    {"send", NULL, in_send, NULL, DCF_TB_OK, DCF_TB_OK},
    {"send to new peers", NULL, in_send_new, NULL, DCF_TB_OK, DCF_TB_OK},
    {"send to an invalid peer", NULL, in_send_bad, NULL,
     DCF_TB_ERR_INVALID_ADDRESS, DCF_TB_ERR_INVALID_ADDRESS},
    {"send_batch", NULL, in_send_batch, NULL, DCF_TB_OK, DCF_TB_OK},
    {"recv", with_message, in_recv, NULL, DCF_TB_OK, DCF_TB_OK},
    {"recv, without a message", NULL, in_recv_nothing, NULL, DCF_TB_ERR_TIMEOUT, DCF_TB_ERR_TIMEOUT},
    {"open_stream", NULL, in_open_stream, close_stream, DCF_TB_OK, DCF_TB_ERR_CONNECTION_RESET},
    {"open_stream, refused", NULL, in_open_refused, NULL,
     DCF_TB_ERR_CONNECTION_REFUSED, DCF_TB_ERR_CONNECTION_REFUSED},
    {"accept", with_connection, in_accept, close_stream, DCF_TB_OK, DCF_TB_OK},
    {"stream_write", NULL, in_write, NULL, DCF_TB_OK, DCF_TB_OK},
    {"stream_read", with_bytes, in_read, NULL, DCF_TB_OK, DCF_TB_OK},
    {"send_file", NULL, in_send_file, NULL, DCF_TB_OK, DCF_TB_OK},
    {"receive_file", with_bytes, in_receive_file, nothing_lost, DCF_TB_OK, DCF_TB_OK},
    {"receive_file, appending", with_bytes, in_receive_to_append, nothing_lost,
     DCF_TB_OK, DCF_TB_OK},
    {"receive_file, to a device", with_bytes, in_receive_to_device, nothing_lost,
     DCF_TB_OK, DCF_TB_OK},
    {"measure_rtt", NULL, in_measure_rtt, NULL, DCF_TB_OK, DCF_TB_OK},
    /* The kernel sends an ICMP error about once a second. */
    {"measure_rtt, without an answer", NULL, in_measure_rtt_new, NULL,
     DCF_TB_ERR_CONNECTION_REFUSED, DCF_TB_ERR_TIMEOUT},
    {"ping", NULL, in_ping, NULL, DCF_TB_OK, DCF_TB_OK},
    {"discover", NULL, in_discover, NULL, DCF_TB_OK, DCF_TB_OK},
    {"all calls that only report", NULL, in_facts, NULL, DCF_TB_OK, DCF_TB_OK},
    {"set callbacks", NULL, in_set_callbacks, NULL, DCF_TB_OK, DCF_TB_OK},
    {"stream_close", with_stream, in_finish_and_close, NULL, DCF_TB_OK, DCF_TB_OK},
    {"stream_detach", with_stream, in_detach, close_kept, DCF_TB_OK, DCF_TB_OK},
    {"an invalid handle", NULL, in_bad_handle, NULL,
     DCF_TB_ERR_INVALID_HANDLE, DCF_TB_ERR_INVALID_HANDLE},
};

static inline void set_the_scenes(void)
{
    char path[] = "/tmp/dcf-tb-XXXXXX";
    dcf_tb_config config = loopback_config();
    config.on_log = on_log;
    config.log_level = DCF_TB_LOG_DEBUG;
    t = start(&config);
    other = start_on_loopback();
    sink = start_on_loopback();
    OK(dcf_tb_set_stream_callback(sink, end_stream, NULL));
    to = peer_strings(other);
    to_sink = peer_strings(sink);
    pair = connect_streams(t, other);
    CHECK((file = mkstemp(path)) >= 0 && ftruncate(file, 100) == 0);
    CHECK((appending = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)) >= 0 && unlink(path) == 0);
    CHECK((null_device = open("/dev/null", O_WRONLY | O_CLOEXEC)) >= 0);
}

static inline void strike_the_scenes(void)
{
    OK(dcf_tb_close(t));
    OK(dcf_tb_close(other));
    OK(dcf_tb_close(sink));
    close(file);
    close(appending);
    close(null_device);
}

#endif
