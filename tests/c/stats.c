/* Each counter counts as documented, and a reset sets them to 0. */
#include "check.h"

static uint8_t large[65508];

static void messages(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("messages and their bytes");
    dcf_tb_stats zero = stats_of(a);
    CHECK(zero.link_up == 1);
    CHECK(zero.messages_sent == 0 && zero.messages_received == 0 && zero.errors == 0);
    CHECK(zero.udp_send_buffer > 0 && zero.udp_receive_buffer > 0);
    for (int i = 0; i < 10; i++)
        send_text(a, peer_strings(b).control, "seven b");
    for (int i = 0; i < 10; i++)
        expect_text(b, "seven b");
    CHECK(stats_of(a).messages_sent == 10 && stats_of(a).bytes_sent == 70);
    CHECK(stats_of(b).messages_received == 10 && stats_of(b).bytes_received == 70);
    CHECK(stats_of(a).messages_received == 0 && stats_of(b).messages_sent == 0);
    CHECK(stats_of(b).messages_dropped == 0 && stats_of(b).rejected == 0);

    TOPIC("failed sends are errors; timeouts are not");
    uint8_t byte;
    size_t length;
    GIVES(DCF_TB_ERR_MESSAGE_TOO_LARGE, dcf_tb_send(a, "::1%lo", large, sizeof large));
    CHECK(stats_of(a).errors == 1);
    GIVES(DCF_TB_ERR_INVALID_ADDRESS, dcf_tb_send(a, "nonsense", large, 1));
    CHECK(stats_of(a).errors == 2);
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_recv(a, &byte, 1, &length, NULL, 0, 0));
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_recv(a, &byte, 1, &length, NULL, 0, 1));
    CHECK(stats_of(a).errors == 2);
}

static void streams(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("streams and their bytes");
    uint8_t buffer[5000];
    size_t count = 0;
    dcf_tb_stats before = stats_of(a);
    stream_pair pair = connect_streams(a, b);
    CHECK(stats_of(a).connections_initiated == 1 && stats_of(a).connections_accepted == 0);
    CHECK(stats_of(b).connections_initiated == 0 && stats_of(b).connections_accepted == 1);
    CHECK(stats_of(a).streams_open == 1 && stats_of(b).streams_open == 1);
    write_all(pair.near_end, large, 5000);
    read_exactly(pair.far_end, buffer, 5000);
    CHECK(stats_of(a).stream_bytes_sent == 5000 && stats_of(b).stream_bytes_received == 5000);
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    uint64_t sent = 0;
    OK(dcf_tb_stream_send_file(pair.far_end, fd, 0, 4000, GENEROUS_MS, &sent));
    read_exactly(pair.near_end, buffer, 4000);
    CHECK(stats_of(b).stream_bytes_sent == 4000 && stats_of(a).stream_bytes_received == 4000);
    close(fd);

    TOPIC("timeouts and the end of a stream are no errors");
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_stream_read(pair.near_end, buffer, 1, 0, &count));
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_stream_read(pair.near_end, buffer, 1, 1, &count));
    OK(dcf_tb_stream_close(pair.far_end));
    GIVES(DCF_TB_EOF, dcf_tb_stream_read(pair.near_end, buffer, 1, GENEROUS_MS, &count));
    OK(dcf_tb_stream_close(pair.near_end));
    CHECK(stats_of(a).streams_open == 0 && stats_of(b).streams_open == 0);
    CHECK(stats_of(a).errors == before.errors);

    TOPIC("a refused connection is an error");
    dcf_tb_stream stream = 0;
    dcf_tb_config config = loopback_config();
    dcf_tb_transport gone = start_on_own_ports(&config);
    peers_of to = peer_strings(gone);
    OK(dcf_tb_close(gone));
    GIVES(DCF_TB_ERR_CONNECTION_REFUSED, dcf_tb_open_stream(a, to.data, GENEROUS_MS, &stream));
    CHECK(stats_of(a).errors == before.errors + 1);
    CHECK(stats_of(a).streams_open == 0);
}

static void pings(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("pings are not messages");
    dcf_tb_stats before_a = stats_of(a), before_b = stats_of(b);
    dcf_tb_rtt summary;
    summary.struct_size = sizeof summary;
    OK(dcf_tb_ping(a, peer_strings(b).control, 7, 0, GENEROUS_MS, &summary));
    CHECK(stats_of(a).pings_sent == before_a.pings_sent + 7);
    CHECK(stats_of(a).pongs_received == before_a.pongs_received + 7);
    CHECK(stats_of(b).pings_answered == before_b.pings_answered + 7);
    CHECK(stats_of(a).last_rtt_ns >= summary.min_ns && stats_of(a).last_rtt_ns <= summary.max_ns);
    CHECK(stats_of(a).messages_sent == before_a.messages_sent);
    CHECK(stats_of(b).messages_received == before_b.messages_received);
}

static int held;

static void hold(const uint8_t *message, size_t length, const char *sender, void *data)
{
    (void)message, (void)length, (void)sender, (void)data;
    EVENTUALLY(!value(&held));
}

static void kernel_drops(void)
{
    TOPIC("every message that the kernel drops because of a full buffer is counted");
    dcf_tb_config config = loopback_config();
    config.on_message = hold;
    config.buffer_size = 1 << 18;
    dcf_tb_transport t = start(&config), from = start_on_loopback();
    const peers_of to = peer_strings(t);
    uint64_t sent = 0;
    set(&held, 1);
    /* More than the socket's buffer and one batch of the receiver hold. */
    uint64_t enough = 2 * stats_of(t).udp_receive_buffer + (16 << 20);
    /* While a callback blocks for long, another thread of the library reads messages. Repeat in case it
       kept up. */
    do {
        for (uint64_t bytes = 0; bytes < enough; bytes += 60000, sent++)
            OK(dcf_tb_send(from, to.control, large, 60000));
    } while (stats_of(t).kernel_drops == 0 && sent < 100000);
    set(&held, 0);
    /* The kernel reports the count with the next message. */
    do {
        OK(dcf_tb_send(from, to.control, large, 1));
        sent++;
        pause_briefly();
    } while (stats_of(t).messages_received + stats_of(t).kernel_drops < sent && sent < 200000);
    CHECK(stats_of(t).kernel_drops > 0);
    EVENTUALLY(stats_of(t).messages_received + stats_of(t).kernel_drops == sent);
    OK(dcf_tb_close(from));
    OK(dcf_tb_close(t));
}

static void reset(dcf_tb_transport t)
{
    TOPIC("the uptime grows, and a reset sets it to 0");
    uint64_t first = stats_of(t).uptime_ns;
    CHECK(first > 0);
    EVENTUALLY(stats_of(t).uptime_ns > first + 20000000);
    dcf_tb_stats before = stats_of(t);
    OK(dcf_tb_reset_stats(t));
    dcf_tb_stats after = stats_of(t);
    CHECK(after.uptime_ns < before.uptime_ns);
    CHECK(after.messages_sent == 0 && after.messages_received == 0);
    CHECK(after.bytes_sent == 0 && after.bytes_received == 0);
    CHECK(after.connections_accepted == 0 && after.connections_initiated == 0);
    CHECK(after.errors == 0 && after.messages_dropped == 0 && after.rejected == 0);
    CHECK(after.stream_bytes_sent == 0 && after.stream_bytes_received == 0);
    CHECK(after.pings_sent == 0 && after.pongs_received == 0 && after.pings_answered == 0);
    CHECK(after.callback_failures == 0);

    TOPIC("a reset keeps members that are a state and not a count");
    CHECK(after.link_up == 1);
    CHECK(after.udp_send_buffer == before.udp_send_buffer);
    CHECK(after.udp_receive_buffer == before.udp_receive_buffer);
    stream_pair pair = connect_streams(t, t);
    CHECK(stats_of(t).streams_open == 2);
    OK(dcf_tb_reset_stats(t));
    CHECK(stats_of(t).streams_open == 2);
    close_pair(pair);
    CHECK(stats_of(t).streams_open == 0);
}

int main(void)
{
    dcf_tb_transport a = start_on_loopback(), b = start_on_loopback();
    messages(a, b);
    streams(a, b);
    pings(a, b);
    kernel_drops();
    reset(a);
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
    return 0;
}
