/* Statistics of one stream: its counters, and the kernel's figures of its connection. */
#include "check.h"

enum { BLOCK = 1 << 16, MS = 1000000 };
static uint8_t block[BLOCK];

static dcf_tb_stream_stats figures(dcf_tb_stream stream)
{
    dcf_tb_stream_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;
    OK(dcf_tb_stream_get_stats(stream, &stats));
    CHECK(stats.struct_size == sizeof stats && stats.connected <= 1 && stats.stalled <= 1);
    CHECK(stats.bytes_unsent + stats.bytes_unacknowledged <= stats.bytes_sent);
    CHECK(stats.writes <= stats.bytes_sent && stats.reads <= stats.bytes_received);
    CHECK(stats.idle_ns <= stats.since_sent_ns && stats.idle_ns <= stats.since_received_ns);
    return stats;
}

/* Bytes in flight: sent, but not acknowledged by the peer's kernel. */
static uint64_t in_flight(dcf_tb_stream stream)
{
    dcf_tb_stream_stats stats = figures(stream);
    return stats.bytes_unsent + stats.bytes_unacknowledged;
}

/* Writes until the peer's window is closed. */
static void fill_up(dcf_tb_stream stream)
{
    size_t count;
    dcf_tb_status status;
    do
        status = dcf_tb_stream_write(stream, block, sizeof block, 300, &count);
    while (status == DCF_TB_OK || count > 0);
    CHECK(status == DCF_TB_ERR_TIMEOUT);
}

static void counts(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("a new stream");
    stream_pair pair = connect_streams(a, b);
    dcf_tb_stream_stats near = figures(pair.near_end), far = figures(pair.far_end);
    CHECK(near.connected == 1 && far.connected == 1);
    CHECK(near.bytes_sent == 0 && near.bytes_received == 0 && near.writes == 0 && near.reads == 0);
    CHECK(near.rtt_ns > 0 && near.rtt_min_ns > 0 && near.mss > 500 && near.congestion_window > 0);
    CHECK(near.retransmits == 0 && near.stalled == 0 && near.stalled_ns == 0);
    CHECK(near.age_ns > 0 && far.age_ns > 0 && near.peer_window > 0);

    TOPIC("each direction is counted on both ends, and on no other stream");
    stream_pair other = connect_streams(a, b);
    uint8_t text[64];
    write_all(pair.near_end, "one", 3);
    write_all(pair.near_end, "two", 3);
    write_all(pair.near_end, "three", 5);
    read_exactly(pair.far_end, text, 11);
    write_all(pair.far_end, "back", 4);
    read_exactly(pair.near_end, text, 4);
    near = figures(pair.near_end);
    far = figures(pair.far_end);
    CHECK(near.bytes_sent == 11 && near.writes == 3 && near.bytes_received == 4 && near.reads == 1);
    CHECK(far.bytes_sent == 4 && far.writes == 1 && far.bytes_received == 11);
    CHECK(far.reads >= 1 && far.reads <= 3);
    EVENTUALLY(in_flight(pair.near_end) == 0);
    EVENTUALLY(figures(pair.near_end).delivery_rate > 0);
    CHECK(figures(other.near_end).bytes_sent == 0 && figures(other.far_end).bytes_received == 0);

    TOPIC("failed reads count nothing");
    size_t count;
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_stream_read(pair.near_end, text, 1, 0, &count));
    OK(dcf_tb_stream_write(pair.near_end, NULL, 0, 0, &count));
    CHECK(figures(pair.near_end).reads == 1 && figures(pair.near_end).writes == 3);

    TOPIC("bytes of files are counted too");
    uint64_t moved;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    OK(dcf_tb_stream_send_file(pair.near_end, file, 0, 5000, GENEROUS_MS, &moved));
    OK(dcf_tb_stream_receive_file(pair.far_end, null, 0, 5000, GENEROUS_MS, &moved));
    close(file);
    close(null);
    CHECK(figures(pair.near_end).bytes_sent == 5011 && figures(pair.far_end).bytes_received == 5011);
    CHECK(figures(pair.near_end).writes > 3);

    TOPIC("a reset of the transport's statistics keeps those of its streams");
    OK(dcf_tb_reset_stats(a));
    CHECK(figures(pair.near_end).bytes_sent == 5011);

    TOPIC("sending the end counts no byte, and earlier bytes stay counted");
    OK(dcf_tb_stream_finish(pair.near_end));
    GIVES(DCF_TB_EOF, dcf_tb_stream_read(pair.far_end, text, 1, GENEROUS_MS, &count));
    EVENTUALLY(in_flight(pair.near_end) == 0);
    CHECK(figures(pair.near_end).connected == 1 && figures(pair.near_end).bytes_sent == 5011);
    OK(dcf_tb_stream_finish(pair.far_end));
    EVENTUALLY(figures(pair.near_end).connected == 0 && figures(pair.far_end).connected == 0);
    CHECK(figures(pair.far_end).bytes_received == 5011);

    OK(dcf_tb_stream_close(pair.near_end));
    near.struct_size = sizeof near;
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_stream_get_stats(pair.near_end, &near));
    int32_t fd;
    OK(dcf_tb_stream_detach(other.near_end, &fd));
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_stream_get_stats(other.near_end, &near));
    close(fd);
}

static void times(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("the times since data was last sent and received");
    stream_pair pair = connect_streams(a, b);
    EVENTUALLY(figures(pair.near_end).since_sent_ns > 200 * MS);
    EVENTUALLY(figures(pair.near_end).since_received_ns > 200 * MS);
    CHECK(figures(pair.near_end).idle_ns > 200 * MS);
    uint8_t byte;
    write_all(pair.near_end, "x", 1);
    read_exactly(pair.far_end, &byte, 1);
    /* The stream is at least 200 ms old, however slow this test is. */
    dcf_tb_stream_stats near = figures(pair.near_end), far = figures(pair.far_end);
    CHECK(near.age_ns > near.since_sent_ns + 100 * MS);
    CHECK(near.since_received_ns > 200 * MS && near.idle_ns == near.since_sent_ns);
    CHECK(far.age_ns > far.since_received_ns + 100 * MS);
    CHECK(far.since_sent_ns > 200 * MS && far.idle_ns == far.since_received_ns);
    close_pair(pair);
}

static void a_peer_that_does_not_read(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("a closed window is reported, with its duration");
    stream_pair pair = connect_streams(a, b);
    fill_up(pair.near_end);
    EVENTUALLY(figures(pair.near_end).stalled == 1);
    dcf_tb_stream_stats near = figures(pair.near_end);
    CHECK(near.bytes_unsent > 0 && near.peer_window < near.bytes_unsent);
    EVENTUALLY(figures(pair.near_end).stalled_ns > near.stalled_ns);

    TOPIC("an end that waits behind unsent bytes counts no byte");
    EVENTUALLY(figures(pair.near_end).bytes_unacknowledged == 0);
    uint64_t before = in_flight(pair.near_end);
    OK(dcf_tb_stream_finish(pair.near_end));
    CHECK(in_flight(pair.near_end) == before);

    TOPIC("the window opens again, and all bytes are sent");
    uint64_t left = figures(pair.near_end).bytes_sent;
    while (left > 0) {
        size_t count = 0;
        OK(dcf_tb_stream_read(pair.far_end, block, sizeof block, GENEROUS_MS, &count));
        left -= count;
    }
    EVENTUALLY(in_flight(pair.near_end) == 0 && figures(pair.near_end).stalled == 0);
    CHECK(figures(pair.far_end).bytes_received == figures(pair.near_end).bytes_sent);
    close_pair(pair);
}

static void broken(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("a broken connection keeps its counts, and reports the bytes that the peer did not get");
    stream_pair pair = connect_streams(a, b);
    fill_up(pair.near_end);
    dcf_tb_stream_stats before = figures(pair.near_end);
    OK(dcf_tb_stream_close(pair.far_end)); /* with unread bytes, so this is a reset */
    EVENTUALLY(figures(pair.near_end).connected == 0);
    dcf_tb_stream_stats after = figures(pair.near_end);
    CHECK(after.bytes_sent == before.bytes_sent && after.writes == before.writes);
    CHECK(after.bytes_unsent + after.bytes_unacknowledged > 0 && after.stalled == 0);
    CHECK(after.age_ns > before.age_ns);
    size_t count;
    GIVES(DCF_TB_ERR_BROKEN_PIPE, dcf_tb_stream_write(pair.near_end, block, 1, GENEROUS_MS, &count));
    CHECK(figures(pair.near_end).bytes_sent == before.bytes_sent);
    OK(dcf_tb_stream_close(pair.near_end));
}

static void other_sizes(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("older and newer structs get the members that both sides know");
    struct {
        dcf_tb_stream_stats now;
        uint8_t later[64];
    } stats;
    stream_pair pair = connect_streams(a, b);
    write_all(pair.near_end, "four", 4);
    const size_t older = offsetof(dcf_tb_stream_stats, writes);
    memset(&stats, 0xAA, sizeof stats);
    stats.now.struct_size = (uint32_t)older;
    OK(dcf_tb_stream_get_stats(pair.near_end, &stats.now));
    CHECK(stats.now.struct_size == older && stats.now.bytes_sent == 4);
    CHECK(stats.now.writes == 0xAAAAAAAAAAAAAAAAu && stats.later[0] == 0xAA);
    stats.now.struct_size = sizeof stats;
    OK(dcf_tb_stream_get_stats(pair.near_end, &stats.now));
    CHECK(stats.now.struct_size == sizeof stats && stats.now.writes == 1);
    for (size_t i = 0; i < sizeof stats.later; i++)
        CHECK(stats.later[i] == 0xAA);
    stats.now.struct_size = 3;
    GIVES(DCF_TB_ERR_OUT_OF_RANGE, dcf_tb_stream_get_stats(pair.near_end, &stats.now));
    CHECK(error_says("stats->struct_size is 3"));
    close_pair(pair);
}

int main(void)
{
    dcf_tb_transport a = start_on_loopback(), b = start_on_loopback();
    counts(a, b);
    times(a, b);
    a_peer_that_does_not_read(a, b);
    broken(a, b);
    other_sizes(a, b);
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
    return 0;
}
