/* Data streams: bytes, ends, timeouts, both directions at once, closing. */
#include "process.h"


enum { BLOCK = 1 << 20 };
static uint8_t out[BLOCK], in[BLOCK];

static void bytes_and_ends(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("bytes arrive as written; finish is the end of stream for the peer, and reading still works");
    stream_pair pair = connect_streams(a, b);
    size_t count = 77;
    for (size_t length = 1; length < 70000; length = length * 3 + 1) {
        fill(out, length, (uint32_t)length);
        write_all(pair.near_end, out, length);
        read_exactly(pair.far_end, in, length);
        CHECK(memcmp(in, out, length) == 0);
    }
    OK(dcf_tb_stream_finish(pair.near_end));
    for (int i = 0; i < 3; i++) {
        GIVES(DCF_TB_EOF, dcf_tb_stream_read(pair.far_end, in, 10, GENEROUS_MS, &count));
    }
    write_all(pair.far_end, "still", 5);
    read_exactly(pair.near_end, in, 5);
    CHECK(memcmp(in, "still", 5) == 0);

    TOPIC("after finish a write is an error");
    CHECK(dcf_tb_stream_write(pair.near_end, out, 5, GENEROUS_MS, &count) ==
          DCF_TB_ERR_BROKEN_PIPE);
    CHECK(count == 0);
    OK(dcf_tb_stream_close(pair.far_end));
    GIVES(DCF_TB_EOF, dcf_tb_stream_read(pair.near_end, in, 10, GENEROUS_MS, &count));
    OK(dcf_tb_stream_close(pair.near_end));
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_stream_close(pair.near_end));
}

static void names(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("a stream knows its peer's bare address");
    stream_pair pair = connect_streams(a, b);
    const dcf_tb_stream ends[] = {pair.near_end, pair.far_end};
    for (int i = 0; i < 2; i++) {
        char peer[80];
        size_t length = 0;
        OK(dcf_tb_stream_peer(ends[i], peer, sizeof peer, &length));
        CHECK(strcmp(peer, "::1%lo") == 0 && length == 6);
        length = 0;
        GIVES(DCF_TB_ERR_BUFFER_TOO_SMALL, dcf_tb_stream_peer(ends[i], peer, 6, &length));
        CHECK(length == 6 || length == 7);
        OK(dcf_tb_stream_peer(ends[i], peer, 7, &length));
        OK(dcf_tb_stream_close(ends[i]));
    }
}

static void time_outs(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("a read without data: timeout 0 gives WOULD_BLOCK, a finite one expires");
    stream_pair pair = connect_streams(a, b);
    size_t count = 77;
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_stream_read(pair.near_end, in, 10, 0, &count));
    uint64_t start = milliseconds();
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_stream_read(pair.near_end, in, 10, 50, &count));
    CHECK(milliseconds() - start >= 49);

    TOPIC("a write that times out: *written counts the accepted bytes");
    uint64_t sent = 0, received = 0;
    dcf_tb_status status;
    fill(out, BLOCK, 7);
    do {
        status = dcf_tb_stream_write(pair.near_end, out, BLOCK, 0, &count);
        CHECK(status == DCF_TB_OK ? count == BLOCK : count < BLOCK);
        sent += count;
        CHECK(sent < (uint64_t)1 << 32);
    } while (status == DCF_TB_OK);
    CHECK(status == DCF_TB_WOULD_BLOCK);
    for (int i = 0; i < 3; i++) {
        GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_stream_write(pair.near_end, out, BLOCK, 20, &count));
        CHECK(count < BLOCK);
        sent += count;
    }
    OK(dcf_tb_stream_finish(pair.near_end));
    do {
        status = dcf_tb_stream_read(pair.far_end, in, BLOCK, GENEROUS_MS, &count);
        if (status == DCF_TB_OK)
            received += count;
    } while (status == DCF_TB_OK);
    CHECK(status == DCF_TB_EOF);
    CHECK(received == sent);
    CHECK(stats_of(a).stream_bytes_sent >= sent);
    close_pair(pair);
}

/* One direction of a stream, on a thread of its own. */
typedef struct direction {
    dcf_tb_stream stream;
    uint32_t seed;
    int thread;
    dcf_tb_status status;
} direction;

enum { BLOCKS = 16 };

static void *write_blocks(void *argument)
{
    direction *d = (direction *)argument;
    uint8_t *data = (uint8_t *)malloc(BLOCK);
    CHECK(data != NULL);
    fill(data, BLOCK, d->seed);
    for (int i = 0; i < BLOCKS; i++)
        write_all(d->stream, data, BLOCK);
    free(data);
    return NULL;
}

static void *read_blocks(void *argument)
{
    direction *d = (direction *)argument;
    uint8_t *expected = (uint8_t *)malloc(BLOCK), *data = (uint8_t *)malloc(BLOCK);
    CHECK(expected != NULL && data != NULL);
    fill(expected, BLOCK, d->seed);
    for (int i = 0; i < BLOCKS; i++) {
        read_exactly(d->stream, data, BLOCK);
        CHECK(memcmp(data, expected, BLOCK) == 0);
    }
    free(expected);
    free(data);
    return NULL;
}

static void both_ways(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("a read and a write run at once on both ends");
    stream_pair pair = connect_streams(a, b);
    direction work[4] = {
        {pair.near_end, 1, 0, 0}, {pair.far_end, 1, 0, 0},
        {pair.far_end, 2, 0, 0}, {pair.near_end, 2, 0, 0},
    };
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = start_thread(i % 2 == 0 ? write_blocks : read_blocks, &work[i]);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    close_pair(pair);
}

static void *wait_to_read(void *argument)
{
    direction *d = (direction *)argument;
    uint8_t byte;
    size_t count = 0;
    set(&d->thread, gettid());
    d->status = dcf_tb_stream_read(d->stream, &byte, 1, DCF_TB_WAIT_FOREVER, &count);
    return NULL;
}

static void *wait_to_write(void *argument)
{
    direction *d = (direction *)argument;
    size_t count = 0;
    set(&d->thread, gettid());
    do
        d->status = dcf_tb_stream_write(d->stream, out, BLOCK, DCF_TB_WAIT_FOREVER, &count);
    while (d->status == DCF_TB_OK);
    return NULL;
}

static void close_wakes(dcf_tb_transport a, dcf_tb_transport b, int whole_transport)
{
    stream_pair pair = connect_streams(a, b);
    direction reader = {pair.near_end, 0, 0, 0}, writer = {pair.near_end, 0, 0, 0};
    pthread_t reading = start_thread(wait_to_read, &reader);
    pthread_t writing = start_thread(wait_to_write, &writer);
    EVENTUALLY(asleep(value(&reader.thread)));
    EVENTUALLY(asleep(value(&writer.thread)));
    OK(whole_transport ? dcf_tb_close(a) : dcf_tb_stream_close(pair.near_end));
    join(reading);
    join(writing);
    CHECK(reader.status == DCF_TB_CANCELLED);
    CHECK(writer.status == DCF_TB_CANCELLED);
    OK(dcf_tb_stream_close(pair.far_end));
}

int main(void)
{
    dcf_tb_transport a = start_on_loopback(), b = start_on_loopback();
    bytes_and_ends(a, b);
    names(a, b);
    time_outs(a, b);
    both_ways(a, b);
    TOPIC("closing a stream wakes its waiting reader and writer");
    close_wakes(a, b, 0);
    TOPIC("closing the transport wakes them too");
    close_wakes(a, b, 1);
    OK(dcf_tb_close(b));
    return 0;
}
