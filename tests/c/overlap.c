/* An output of a call must not overlap its other arguments. Every function that could be affected
   returns an error and does nothing. */
#include "check.h"

#define OVERLAPS(call)                                   \
    do {                                                 \
        GIVES(DCF_TB_ERR_OUT_OF_RANGE, call);            \
        CHECK(error_says("overlap: pass separate memory for each")); \
    } while (0)

/* Memory that is aligned for every type, with several views. */
typedef union {
    uint8_t bytes[256];
    char text[256];
    size_t counts[32];
    uint64_t times[32];
    uint16_t ports[128];
    dcf_tb_stream streams[32];
    dcf_tb_peer peers[2];
    dcf_tb_rtt rtt;
    dcf_tb_datagram datagrams[4];
    dcf_tb_slice slices[4];
    dcf_tb_received received[2];
} shared;

static void set_peer(shared *memory, const char *peer)
{
    memset(memory, 0, sizeof *memory);
    memcpy(memory->text, peer, strlen(peer) + 1);
}

static void messages(dcf_tb_transport t)
{
    TOPIC("a message and its sender, their lengths, and batches");
    shared m;
    uint8_t buffer[64], more[64];
    char sender[80];
    size_t count = 0;
    send_text(t, "::1%lo", "kept");

    memset(&m, 0, sizeof m);
    OVERLAPS(dcf_tb_recv(t, m.bytes, 100, &count, m.text, 80, GENEROUS_MS));
    OVERLAPS(dcf_tb_recv(t, m.bytes, 100, &count, m.text + 99, 80, GENEROUS_MS));
    OVERLAPS(dcf_tb_recv(t, m.bytes + 79, 100, &count, m.text, 80, GENEROUS_MS));
    OVERLAPS(dcf_tb_recv(t, m.bytes, 100, &m.counts[2], sender, sizeof sender, GENEROUS_MS));
    OVERLAPS(dcf_tb_recv(t, buffer, sizeof buffer, &m.counts[0], m.text + 7, 80, GENEROUS_MS));
    OVERLAPS(dcf_tb_recv_batch(t, m.bytes, 200, m.received, 1, &count, GENEROUS_MS));
    OVERLAPS(dcf_tb_recv_batch(t, m.bytes, 200, m.received + 1, 1, &count, GENEROUS_MS));
    OVERLAPS(dcf_tb_recv_batch(t, buffer, 64, m.received, 2, &m.counts[20], GENEROUS_MS));
    OVERLAPS(dcf_tb_recv_batch(t, m.bytes, 64, m.received + 1, 1, &m.counts[7], GENEROUS_MS));
    memset(&m, 0, sizeof m);
    OVERLAPS(dcf_tb_recv(t, m.bytes, 100, &count, m.text, 80, GENEROUS_MS));
    CHECK(m.bytes[0] == 0 && m.bytes[255] == 0);

    TOPIC("adjacent memory is no overlap, and the message is still in the queue");
    OK(dcf_tb_recv(t, m.bytes, 80, &m.counts[20], m.text + 80, 80, GENEROUS_MS));
    CHECK(m.counts[20] == 4 && memcmp(m.bytes, "kept", 4) == 0 && strcmp(m.text + 80, "") != 0);

    TOPIC("the count of a batch");
    dcf_tb_datagram datagrams[2] = {{"::1%lo", buffer, 4}, {"::1%lo", more, 4}};
    memset(buffer, 'b', sizeof buffer);
    m.datagrams[0] = datagrams[0];
    OVERLAPS(dcf_tb_send_batch(t, m.datagrams, 1, &m.datagrams[0].len));
    OVERLAPS(dcf_tb_send_batch(t, m.datagrams, 2, &m.counts[5]));
    set_peer(&m, "::1%lo");
    datagrams[1].data = m.bytes + 8;
    datagrams[1].len = 9;
    OVERLAPS(dcf_tb_send_batch(t, datagrams, 2, &m.counts[2]));
    CHECK(m.counts[2] == 1); /* the first message was sent */
    dcf_tb_datagram named = {m.text + 8, buffer, 4};
    memcpy(m.text + 8, "::1%lo", 7);
    OVERLAPS(dcf_tb_send_batch(t, &named, 1, &m.counts[1]));
    OK(dcf_tb_recv(t, buffer, sizeof buffer, &count, NULL, 0, GENEROUS_MS));
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_recv(t, buffer, sizeof buffer, &count, NULL, 0, 0));
}

static void streams(dcf_tb_transport t)
{
    TOPIC("the buffers of a stream, and the count");
    shared m;
    uint8_t buffer[64];
    stream_pair pair = connect_streams(t, t);
    dcf_tb_stream s = pair.near_end;
    memset(&m, 0, sizeof m);
    write_all(pair.far_end, "still", 5);

    OVERLAPS(dcf_tb_stream_read(s, m.bytes, 64, GENEROUS_MS, &m.counts[7]));
    OVERLAPS(dcf_tb_stream_read_exact(s, m.bytes + 7, 5, GENEROUS_MS, &m.counts[0]));
    OVERLAPS(dcf_tb_stream_write(s, m.bytes, 64, GENEROUS_MS, &m.counts[0]));
    m.slices[0].data = buffer;
    m.slices[0].len = 1;
    OVERLAPS(dcf_tb_stream_writev(s, m.slices, 1, GENEROUS_MS, &m.slices[0].len));
    dcf_tb_slice slices[2] = {{buffer, 4}, {m.bytes, 9}};
    OVERLAPS(dcf_tb_stream_writev(s, slices, 2, GENEROUS_MS, &m.counts[1]));
    OVERLAPS(dcf_tb_stream_peer(s, m.text, 80, &m.counts[9]));

    OK(dcf_tb_stream_read(s, m.bytes, 64, GENEROUS_MS, &m.counts[8]));
    CHECK(m.counts[8] == 5 && memcmp(m.bytes, "still", 5) == 0);
    write_all(s, "nothing before", 14);
    read_exactly(pair.far_end, buffer, 14);
    CHECK(memcmp(buffer, "nothing before", 14) == 0);
    OK(dcf_tb_stream_close(s));
    OK(dcf_tb_stream_close(pair.far_end));

    TOPIC("a peer string and the handle");
    set_peer(&m, "::1%lo");
    OVERLAPS(dcf_tb_open_stream(t, m.text, GENEROUS_MS, &m.streams[0]));
    CHECK(strcmp(m.text, "::1%lo") == 0);
}

static void the_rest(dcf_tb_transport t)
{
    TOPIC("names, ports, round trips, discovery");
    shared m;
    memset(&m, 0, sizeof m);
    OVERLAPS(dcf_tb_interface(t, m.text, 16, &m.counts[1]));
    OVERLAPS(dcf_tb_ports(t, &m.ports[0], &m.ports[0]));
    OK(dcf_tb_ports(t, &m.ports[0], &m.ports[1]));
    set_peer(&m, "::1%lo");
    OVERLAPS(dcf_tb_measure_rtt(t, m.text, GENEROUS_MS, &m.times[0]));
    OVERLAPS(dcf_tb_last_heard(t, m.text, &m.times[0]));
    set_peer(&m, "1234::1%lo");
    m.rtt.struct_size = sizeof m.rtt;
    OVERLAPS(dcf_tb_ping(t, m.text + 4, 1, 0, GENEROUS_MS, &m.rtt));
    OVERLAPS(dcf_tb_discover(t, 1, m.peers, 2, &m.counts[0]));
    OVERLAPS(dcf_tb_discover(t, 1, m.peers, 2, &m.counts[21]));
    OVERLAPS(dcf_tb_discover_first(t, 1, m.peers, 2, &m.counts[21]));
    OK(dcf_tb_discover(t, 1, m.peers, 2, &m.counts[22]));

    TOPIC("an invalid handle is reported first, and NULL overlaps nothing");
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_interface(0, m.text, 16, &m.counts[0]));
    GIVES(DCF_TB_ERR_NULL_POINTER, dcf_tb_interface(t, NULL, 16, NULL));
}

int main(void)
{
    dcf_tb_transport t = start_on_loopback();
    messages(t);
    streams(t);
    the_rest(t);
    OK(dcf_tb_close(t));
    return 0;
}
