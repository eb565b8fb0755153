/* Exact reads, vectored writes, and messages received in batches. */
#include "check.h"

enum { LARGE = 3 << 20, PIECES = 3000, MESSAGES = 300 };
static uint8_t out[LARGE], in[LARGE];

/* Writes `out` in parts, so that one system call cannot read it all. */
static void *write_in_parts(void *stream)
{
    size_t count = 0;
    for (size_t at = 0; at < LARGE; at += count) {
        const size_t rest = LARGE - at;
        OK(dcf_tb_stream_write(*(dcf_tb_stream *)stream, out + at, rest < 70001 ? rest : 70001,
                               GENEROUS_MS, &count));
    }
    return NULL;
}

static void read_exact(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("read_exact waits for all bytes");
    stream_pair pair = connect_streams(a, b);
    size_t count = 77;
    fill(out, LARGE, 1);
    pthread_t writer = start_thread(write_in_parts, &pair.near_end);
    OK(dcf_tb_stream_read_exact(pair.far_end, in, LARGE, GENEROUS_MS, &count));
    CHECK(count == LARGE && memcmp(in, out, LARGE) == 0);
    join(writer);

    TOPIC("bytes that came before the timeout are counted, and are in the buffer");
    OK(dcf_tb_stream_write(pair.near_end, out, 10, GENEROUS_MS, &count));
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_stream_read_exact(pair.far_end, in, 11, 200, &count));
    CHECK(count == 10 && memcmp(in, out, 10) == 0);
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_stream_read_exact(pair.far_end, in, 11, 0, &count));
    CHECK(count == 0);
    OK(dcf_tb_stream_read_exact(pair.far_end, in, 0, 0, &count));
    OK(dcf_tb_stream_read_exact(pair.far_end, NULL, 0, 0, &count));
    CHECK(count == 0);

    TOPIC("an end of stream before all bytes is EOF, with the count in the text");
    OK(dcf_tb_stream_write(pair.near_end, out, 10, GENEROUS_MS, &count));
    OK(dcf_tb_stream_finish(pair.near_end));
    GIVES(DCF_TB_EOF, dcf_tb_stream_read_exact(pair.far_end, in, 11, GENEROUS_MS, &count));
    CHECK(count == 10 && memcmp(in, out, 10) == 0);
    CHECK(error_says("10 of 11 bytes"));
    GIVES(DCF_TB_EOF, dcf_tb_stream_read_exact(pair.far_end, in, 1, GENEROUS_MS, &count));
    CHECK(count == 0);
    close_pair(pair);
}

static void pieces(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("more pieces than one system call takes, some of them empty, arrive in order");
    static dcf_tb_slice slices[PIECES];
    stream_pair pair = connect_streams(a, b);
    size_t total = 0, count = 77;
    fill(out, LARGE, 2);
    for (size_t i = 0; i < PIECES; i++) {
        slices[i].len = i % 11;
        slices[i].data = slices[i].len == 0 && i % 2 == 0 ? NULL : out + total;
        total += slices[i].len;
    }
    OK(dcf_tb_stream_writev(pair.near_end, slices, PIECES, GENEROUS_MS, &count));
    CHECK(count == total);
    OK(dcf_tb_stream_read_exact(pair.far_end, in, total, GENEROUS_MS, &count));
    CHECK(memcmp(in, out, total) == 0);

    TOPIC("zero pieces, and only empty pieces, return at once");
    OK(dcf_tb_stream_writev(pair.near_end, NULL, 0, 0, &count));
    CHECK(count == 0);
    OK(dcf_tb_stream_writev(pair.near_end, slices, 1, 0, &count));
    CHECK(count == 0);

    TOPIC("the error names an invalid piece, and no piece is written");
    slices[1].data = NULL;
    GIVES(DCF_TB_ERR_NULL_POINTER,
          dcf_tb_stream_writev(pair.near_end, slices, 3, GENEROUS_MS, &count));
    CHECK(count == 0 && error_says("slices[1]"));
    slices[1].data = out;
    slices[1].len = SIZE_MAX;
    GIVES(DCF_TB_ERR_OUT_OF_RANGE,
          dcf_tb_stream_writev(pair.near_end, slices, 3, GENEROUS_MS, &count));
    CHECK(count == 0);
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_stream_read(pair.far_end, in, 1, 0, &count));

    TOPIC("a write that times out counts the bytes over all pieces");
    uint64_t sent = 0;
    dcf_tb_status status;
    for (int i = 0; i < 3; i++) {
        slices[i].data = out + i * (LARGE / 3);
        slices[i].len = LARGE / 3;
    }
    do {
        status = dcf_tb_stream_writev(pair.near_end, slices, 3, 0, &count);
        CHECK(status == DCF_TB_OK ? count == LARGE : count < LARGE);
        sent += count;
        CHECK(sent < (uint64_t)1 << 32);
    } while (status == DCF_TB_OK);
    GIVES(DCF_TB_WOULD_BLOCK, status);
    for (uint64_t rest = sent; rest > 0; rest -= count) {
        const size_t wanted = rest < sizeof in ? (size_t)rest : sizeof in;
        OK(dcf_tb_stream_read_exact(pair.far_end, in, wanted, GENEROUS_MS, &count));
        CHECK(memcmp(in, out, count) == 0);
    }
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_stream_read(pair.far_end, in, 1, 0, &count));
    OK(dcf_tb_stream_finish(pair.near_end));
    GIVES(DCF_TB_ERR_BROKEN_PIPE,
          dcf_tb_stream_writev(pair.near_end, slices, 3, GENEROUS_MS, &count));
    CHECK(count == 0);
    close_pair(pair);
}

static void batches(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("messages arrive in order, whole, each with its sender");
    static dcf_tb_received got[MESSAGES];
    const peers_of from = peer_strings(a), to = peer_strings(b);
    size_t count = 77;
    uint32_t next = 0;
    fill(out, LARGE, 3);
    for (uint32_t i = 0; i < MESSAGES; i++) OK(dcf_tb_send(a, to.control, out + i, i));
    while (next < MESSAGES) {
        OK(dcf_tb_recv_batch(b, in, LARGE, got, MESSAGES, &count, GENEROUS_MS));
        CHECK(count >= 1 && count <= MESSAGES - next);
        const uint8_t *at = in;
        for (size_t i = 0; i < count; i++, next++) {
            CHECK(got[i].data == at && got[i].len == next);
            CHECK(memcmp(got[i].data, out + next, next) == 0);
            CHECK(strcmp(got[i].sender, from.control) == 0);
            at += got[i].len;
        }
    }
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_recv_batch(b, in, LARGE, got, MESSAGES, &count, 0));
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_recv_batch(b, in, LARGE, got, MESSAGES, &count, 20));
    CHECK(count == 0);

    TOPIC("at most as many as requested; those that do not fit stay for the next call");
    for (uint32_t i = 0; i < 5; i++) OK(dcf_tb_send(a, to.control, out + i, 100));
    EVENTUALLY(stats_of(b).messages_received == MESSAGES + 5);
    OK(dcf_tb_recv_batch(b, in, LARGE, got, 2, &count, GENEROUS_MS));
    CHECK(count == 2 && memcmp(got[1].data, out + 1, 100) == 0);
    OK(dcf_tb_recv_batch(b, in, 299, got, MESSAGES, &count, GENEROUS_MS));
    CHECK(count == 2 && memcmp(got[1].data, out + 3, 100) == 0);
    GIVES(DCF_TB_ERR_BUFFER_TOO_SMALL,
          dcf_tb_recv_batch(b, in, 99, got, MESSAGES, &count, GENEROUS_MS));
    CHECK(count == 0 && got[0].len == 100);
    OK(dcf_tb_recv_batch(b, in, 100, got, MESSAGES, &count, GENEROUS_MS));
    CHECK(count == 1 && memcmp(got[0].data, out + 4, 100) == 0);

    TOPIC("an empty message needs no room");
    OK(dcf_tb_send(a, to.control, NULL, 0));
    OK(dcf_tb_recv_batch(b, NULL, 0, got, MESSAGES, &count, GENEROUS_MS));
    CHECK(count == 1 && got[0].len == 0 && got[0].data != NULL);

    TOPIC("arguments");
    GIVES(DCF_TB_ERR_NULL_POINTER, dcf_tb_recv_batch(b, NULL, 1, got, 1, &count, 0));
    GIVES(DCF_TB_ERR_NULL_POINTER, dcf_tb_recv_batch(b, in, 1, NULL, 1, &count, 0));
    GIVES(DCF_TB_ERR_NULL_POINTER, dcf_tb_recv_batch(b, in, 1, got, 1, NULL, 0));
    GIVES(DCF_TB_ERR_OUT_OF_RANGE, dcf_tb_recv_batch(b, in, 1, got, 0, &count, 0));
    GIVES(DCF_TB_ERR_OUT_OF_RANGE, dcf_tb_recv_batch(b, in, SIZE_MAX, got, 1, &count, 0));
    GIVES(DCF_TB_ERR_OUT_OF_RANGE, dcf_tb_recv_batch(b, in, 1, got, SIZE_MAX, &count, 0));
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_recv_batch(0, in, 1, got, 1, &count, 0));
}

int main(void)
{
    dcf_tb_transport a = start_on_loopback(), b = start_on_loopback();
    read_exact(a, b);
    pieces(a, b);
    batches(a, b);
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
    return 0;
}
