/* NULL is an error wherever a pointer is required; (NULL, 0) is an empty buffer. */
#include "check.h"

#define NULL_POINTER(call) GIVES(DCF_TB_ERR_NULL_POINTER, call)

static void life(dcf_tb_transport t)
{
    TOPIC("life");
    uint16_t port = 0;
    size_t length = 0;
    char name[16];
    dcf_tb_config config = loopback_config();
    NULL_POINTER(dcf_tb_config_init(NULL, sizeof config));
    NULL_POINTER(dcf_tb_init(&config, NULL));
    NULL_POINTER(dcf_tb_init(NULL, NULL));
    NULL_POINTER(dcf_tb_is_running(t, NULL));
    NULL_POINTER(dcf_tb_interface(t, NULL, 16, &length));
    NULL_POINTER(dcf_tb_interface(t, name, sizeof name, NULL));
    NULL_POINTER(dcf_tb_ports(t, NULL, NULL));
    NULL_POINTER(dcf_tb_ports(t, &port, NULL));
    NULL_POINTER(dcf_tb_ports(t, NULL, &port));
}

static void messages(dcf_tb_transport t)
{
    TOPIC("messages");
    uint8_t buffer[16];
    char sender[80];
    size_t length = 0, sent = 0;
    dcf_tb_datagram datagram = {"::1%lo", buffer, 4};
    NULL_POINTER(dcf_tb_send(t, NULL, buffer, 4));
    NULL_POINTER(dcf_tb_send(t, "::1%lo", NULL, 4));
    NULL_POINTER(dcf_tb_send_batch(t, NULL, 1, &sent));
    NULL_POINTER(dcf_tb_send_batch(t, &datagram, 1, NULL));
    datagram.data = NULL;
    NULL_POINTER(dcf_tb_send_batch(t, &datagram, 1, &sent));
    datagram.data = buffer;
    datagram.peer = NULL;
    NULL_POINTER(dcf_tb_send_batch(t, &datagram, 1, &sent));
    CHECK(sent == 0);
    NULL_POINTER(dcf_tb_recv(t, NULL, 16, &length, sender, sizeof sender, 0));
    NULL_POINTER(dcf_tb_recv(t, buffer, sizeof buffer, NULL, sender, sizeof sender, 0));
    NULL_POINTER(dcf_tb_recv(t, buffer, sizeof buffer, &length, NULL, 80, 0));
    NULL_POINTER(dcf_tb_event_fd(t, NULL));

    TOPIC("(NULL, 0) is an empty message, an empty batch and an empty buffer");
    OK(dcf_tb_send(t, "::1%lo", NULL, 0));
    OK(dcf_tb_recv(t, NULL, 0, &length, NULL, 0, GENEROUS_MS));
    CHECK(length == 0);
    sent = 7;
    OK(dcf_tb_send_batch(t, NULL, 0, &sent));
    CHECK(sent == 0);
    OK(dcf_tb_send(t, "::1%lo", buffer, 5));
    GIVES(DCF_TB_ERR_BUFFER_TOO_SMALL, dcf_tb_recv(t, NULL, 0, &length, NULL, 0, GENEROUS_MS));
    CHECK(length == 5);
    CHECK(error_says("buf is too small: it has 0 bytes, and 5 are needed"));
    GIVES(DCF_TB_ERR_BUFFER_TOO_SMALL, dcf_tb_recv(t, buffer, 5, &length, sender, 3, GENEROUS_MS));
    CHECK(error_says("sender is too small: it has 3 bytes, and "));
    GIVES(DCF_TB_ERR_BUFFER_TOO_SMALL, dcf_tb_interface(t, sender, 2, &length));
    CHECK(error_says("buf is too small: it has 2 bytes, and 3 are needed"));
    GIVES(DCF_TB_ERR_INVALID_ADDRESS, dcf_tb_send(t, "::1%lo:5000", NULL, 0));
    CHECK(error_says("did you mean \"[::1%lo]:5000\"?"));
    OK(dcf_tb_recv(t, buffer, sizeof buffer, &length, NULL, 0, 0));
}

static void streams(dcf_tb_transport t)
{
    TOPIC("streams");
    uint8_t buffer[16];
    char name[80];
    size_t count = 0;
    dcf_tb_stream stream = 0;
    NULL_POINTER(dcf_tb_open_stream(t, NULL, 0, &stream));
    NULL_POINTER(dcf_tb_open_stream(t, "::1%lo", 0, NULL));
    NULL_POINTER(dcf_tb_accept(t, 0, NULL));

    stream_pair pair = connect_streams(t, t);
    dcf_tb_stream s = pair.near_end;
    NULL_POINTER(dcf_tb_stream_write(s, NULL, 4, 0, &count));
    NULL_POINTER(dcf_tb_stream_write(s, buffer, 4, 0, NULL));
    NULL_POINTER(dcf_tb_stream_read(s, NULL, 4, 0, &count));
    NULL_POINTER(dcf_tb_stream_read(s, buffer, 4, 0, NULL));
    const dcf_tb_slice slice = {NULL, 4};
    NULL_POINTER(dcf_tb_stream_writev(s, NULL, 1, 0, &count));
    NULL_POINTER(dcf_tb_stream_writev(s, &slice, 1, 0, &count));
    NULL_POINTER(dcf_tb_stream_writev(s, &slice, 1, 0, NULL));
    NULL_POINTER(dcf_tb_stream_read_exact(s, NULL, 4, 0, &count));
    NULL_POINTER(dcf_tb_stream_read_exact(s, buffer, 4, 0, NULL));
    NULL_POINTER(dcf_tb_stream_send_file(s, 0, 0, 1, 0, NULL));
    NULL_POINTER(dcf_tb_stream_receive_file(s, 0, 0, 1, 0, NULL));
    NULL_POINTER(dcf_tb_stream_peer(s, NULL, 80, &count));
    NULL_POINTER(dcf_tb_stream_peer(s, name, sizeof name, NULL));
    NULL_POINTER(dcf_tb_stream_fd(s, NULL));
    NULL_POINTER(dcf_tb_stream_user_data(s, NULL));
    NULL_POINTER(dcf_tb_stream_get_stats(s, NULL));
    NULL_POINTER(dcf_tb_stream_detach(s, NULL));

    TOPIC("the failed calls left the stream unchanged, and (NULL, 0) does nothing");
    count = 7;
    OK(dcf_tb_stream_write(s, NULL, 0, GENEROUS_MS, &count));
    CHECK(count == 0);
    write_all(s, "still", 5);
    read_exactly(pair.far_end, buffer, 5);
    CHECK(memcmp(buffer, "still", 5) == 0);
    OK(dcf_tb_stream_close(s));
    OK(dcf_tb_stream_close(pair.far_end));
}

static void the_rest(dcf_tb_transport t)
{
    TOPIC("round trips, discovery, statistics");
    uint64_t rtt = 0;
    size_t count = 0;
    dcf_tb_peer peer;
    dcf_tb_rtt summary;
    memset(&summary, 0, sizeof summary);
    summary.struct_size = sizeof summary;
    NULL_POINTER(dcf_tb_measure_rtt(t, NULL, 1000, &rtt));
    NULL_POINTER(dcf_tb_measure_rtt(t, "::1%lo", 1000, NULL));
    NULL_POINTER(dcf_tb_ping(t, NULL, 1, 0, 1000, &summary));
    NULL_POINTER(dcf_tb_ping(t, "::1%lo", 1, 0, 1000, NULL));
    NULL_POINTER(dcf_tb_discover(t, 0, NULL, 1, &count));
    NULL_POINTER(dcf_tb_discover(t, 0, &peer, 1, NULL));
    NULL_POINTER(dcf_tb_discover_first(t, 0, NULL, 1, &count));
    NULL_POINTER(dcf_tb_discover_first(t, 0, &peer, 1, NULL));
    NULL_POINTER(dcf_tb_last_heard(t, NULL, &rtt));
    NULL_POINTER(dcf_tb_last_heard(t, "::1%lo", NULL));
    NULL_POINTER(dcf_tb_forget(t, NULL));
    NULL_POINTER(dcf_tb_get_stats(t, NULL));
    NULL_POINTER(dcf_tb_get_option(t, DCF_TB_OPTION_LOG_LEVEL, NULL));
    OK(dcf_tb_discover(t, 1, NULL, 0, &count));
    CHECK(count == 0);
}

static void callbacks(dcf_tb_transport t)
{
    TOPIC("a NULL callback removes the callback, even when there is none");
    OK(dcf_tb_set_message_callback(t, NULL, NULL));
    OK(dcf_tb_set_stream_callback(t, NULL, NULL));
    OK(dcf_tb_set_log_callback(t, NULL, NULL));
    OK(dcf_tb_set_link_callback(t, NULL, NULL));
    OK(dcf_tb_set_peer_callback(t, NULL, NULL));
}

int main(void)
{
    dcf_tb_transport transport = start_on_loopback();
    life(transport);
    messages(transport);
    streams(transport);
    the_rest(transport);
    callbacks(transport);
    OK(dcf_tb_reset_stats(transport));
    OK(dcf_tb_close(transport));
    return 0;
}
