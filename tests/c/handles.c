/* Every function refuses handles that are stale, made up, or of the wrong kind. */
#include "idle_callbacks.h"

#define REFUSED(call) GIVES(DCF_TB_ERR_INVALID_HANDLE, call)

/* Calls every function on transports, with otherwise valid arguments. */
static void no_transport(dcf_tb_transport t)
{
    uint8_t running, buffer[64];
    char text[80];
    size_t count = 0;
    uint16_t control, data;
    int32_t fd = -1;
    uint64_t rtt = 0;
    dcf_tb_stream stream = 0;
    dcf_tb_datagram datagram = {"::1%lo", buffer, 4};
    dcf_tb_peer peer;
    dcf_tb_stats stats;
    dcf_tb_rtt summary;
    memset(buffer, 0, sizeof buffer);
    stats.struct_size = sizeof stats;
    summary.struct_size = sizeof summary;

    REFUSED(dcf_tb_close(t));
    REFUSED(dcf_tb_is_running(t, &running));
    REFUSED(dcf_tb_interface(t, text, sizeof text, &count));
    REFUSED(dcf_tb_ports(t, &control, &data));
    REFUSED(dcf_tb_wait_link(t, 1, 10));
    REFUSED(dcf_tb_set_option(t, DCF_TB_OPTION_LOG_LEVEL, 99));
    REFUSED(dcf_tb_get_option(t, 99, &rtt));
    REFUSED(dcf_tb_set_message_callback(t, on_message, NULL));
    REFUSED(dcf_tb_set_stream_callback(t, on_stream, NULL));
    REFUSED(dcf_tb_set_log_callback(t, on_log, NULL));
    REFUSED(dcf_tb_set_link_callback(t, on_link, NULL));
    REFUSED(dcf_tb_set_peer_callback(t, on_peer, NULL));
    REFUSED(dcf_tb_last_heard(t, "::1%lo", &rtt));
    REFUSED(dcf_tb_forget(t, "::1%lo"));
    REFUSED(dcf_tb_send(t, "::1%lo", buffer, 4));
    REFUSED(dcf_tb_send_batch(t, &datagram, 1, &count));
    REFUSED(dcf_tb_recv(t, buffer, sizeof buffer, &count, text, sizeof text, 10));
    REFUSED(dcf_tb_event_fd(t, &fd));
    REFUSED(dcf_tb_open_stream(t, "::1%lo", 10, &stream));
    REFUSED(dcf_tb_accept(t, 10, &stream));
    REFUSED(dcf_tb_measure_rtt(t, "::1%lo", 10, &rtt));
    REFUSED(dcf_tb_ping(t, "::1%lo", 1, 0, 10, &summary));
    REFUSED(dcf_tb_discover(t, 10, &peer, 1, &count));
    REFUSED(dcf_tb_discover_first(t, 10, &peer, 1, &count));
    REFUSED(dcf_tb_get_stats(t, &stats));
    REFUSED(dcf_tb_reset_stats(t));
    CHECK(fd == -1 && stream == 0);
}

/* Calls every function on streams, with otherwise valid arguments. */
static void no_stream(dcf_tb_stream s)
{
    uint8_t buffer[4] = {0};
    char text[80];
    size_t count = 0;
    uint64_t moved = 0;
    int32_t fd = -1;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK(null >= 0);
    REFUSED(dcf_tb_stream_write(s, buffer, 4, 10, &count));
    REFUSED(dcf_tb_stream_read(s, buffer, 4, 10, &count));
    REFUSED(dcf_tb_stream_read_exact(s, buffer, 4, 10, &count));
    REFUSED(dcf_tb_stream_writev(s, NULL, 0, 10, &count));
    REFUSED(dcf_tb_stream_send_file(s, null, 0, 4, 10, &moved));
    REFUSED(dcf_tb_stream_receive_file(s, null, 0, 4, 10, &moved));
    REFUSED(dcf_tb_stream_finish(s));
    REFUSED(dcf_tb_stream_close(s));
    REFUSED(dcf_tb_stream_peer(s, text, sizeof text, &count));
    REFUSED(dcf_tb_stream_fd(s, &fd));
    void *own = text;
    REFUSED(dcf_tb_stream_set_user_data(s, NULL));
    REFUSED(dcf_tb_stream_user_data(s, &own));
    CHECK(own == text);
    dcf_tb_stream_stats stats;
    stats.struct_size = sizeof stats;
    REFUSED(dcf_tb_stream_get_stats(s, &stats));
    REFUSED(dcf_tb_stream_detach(s, &fd));
    CHECK(fd == -1);
    close(null);
}

static uint64_t random_number(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

int main(void)
{
    TOPIC("0 and made-up numbers");
    const uint64_t made_up[] = {0, 1, 2, 0xFFFFFFFF, 0x100000000, UINT64_MAX, UINT64_MAX / 2,
                                (uint64_t)(uintptr_t)&made_up};
    for (size_t i = 0; i < sizeof made_up / sizeof made_up[0]; i++) {
        no_transport(made_up[i]);
        no_stream(made_up[i]);
    }

    TOPIC("a handle of the other kind");
    dcf_tb_transport transport = start_on_loopback(), other = start_on_loopback();
    stream_pair pair = connect_streams(transport, other);
    CHECK(transport != other && pair.near_end != pair.far_end);
    no_stream(transport);
    no_transport(pair.near_end);

    TOPIC("every single and double bit of a live handle changed, and 200,000 others");
    const uint64_t live[] = {transport, other, pair.near_end, pair.far_end};
    uint8_t running;
    int32_t fd;
    for (size_t l = 0; l < 4; l++)
        for (int i = 0; i < 64; i++)
            for (int j = 0; j < 64; j++) {
                uint64_t handle = live[l] ^ (uint64_t)1 << i ^ (i == j ? 0 : (uint64_t)1 << j);
                if (handle != transport && handle != other)
                    REFUSED(dcf_tb_is_running(handle, &running));
                if (handle != pair.near_end && handle != pair.far_end)
                    REFUSED(dcf_tb_stream_fd(handle, &fd));
            }
    for (int i = 0; i < 200000; i++) {
        uint64_t handle = random_number() >> (i % 64);
        if (handle != transport && handle != other)
            REFUSED(dcf_tb_is_running(handle, &running));
        if (handle != pair.near_end && handle != pair.far_end)
            REFUSED(dcf_tb_stream_fd(handle, &fd));
    }

    TOPIC("the live handles still work");
    OK(dcf_tb_is_running(transport, &running));
    OK(dcf_tb_stream_fd(pair.near_end, &fd));

    TOPIC("a stale handle, also after its slot was reused");
    OK(dcf_tb_stream_close(pair.near_end));
    no_stream(pair.near_end);
    for (int i = 0; i < 100; i++) {
        stream_pair next = connect_streams(transport, other);
        CHECK(next.near_end != pair.near_end && next.far_end != pair.near_end);
        REFUSED(dcf_tb_stream_fd(pair.near_end, &fd));
        close_pair(next);
        REFUSED(dcf_tb_stream_fd(next.near_end, &fd));
    }
    OK(dcf_tb_close(transport));
    no_transport(transport);
    for (int i = 0; i < 100; i++) {
        dcf_tb_transport next = start_on_loopback();
        CHECK(next != transport);
        REFUSED(dcf_tb_is_running(transport, &running));
        OK(dcf_tb_close(next));
    }
    no_transport(transport);

    TOPIC("a stream of a closed transport");
    OK(dcf_tb_close(other));
    no_stream(pair.far_end);
    return 0;
}
