/*
 * Buffers of exactly the size that is needed, of one less, and of one more, in every function that fills a
 * buffer. A function must not write beyond the size that it was given.
 */
#include "check.h"

enum { SIZE = 256, GUARD = 0x5A };

static dcf_tb_transport t, other;
static char to_t[80];
static uint8_t buffer[SIZE];

static void guard(void)
{
    memset(buffer, GUARD, sizeof buffer);
}

/* Whether everything from `from` on is as `guard` left it. */
static int is_untouched(size_t from)
{
    for (size_t i = from; i < sizeof buffer; i++)
        if (buffer[i] != GUARD)
            return 0;
    return 1;
}

/* The functions that give a text, and need a byte for its NUL. */
static dcf_tb_stream stream;

static dcf_tb_status interface_name(char *text, size_t cap, size_t *length)
{
    return dcf_tb_interface(t, text, cap, length);
}

static dcf_tb_status stream_peer(char *text, size_t cap, size_t *length)
{
    return dcf_tb_stream_peer(stream, text, cap, length);
}

static void a_text(dcf_tb_status (*get)(char *, size_t, size_t *), const char *expected)
{
    size_t needed = strlen(expected);
    for (size_t cap = 0; cap <= needed + 2; cap++) {
        size_t length = 77;
        guard();
        if (cap > needed) {
            OK(get((char *)buffer, cap, &length));
            CHECK(strcmp((char *)buffer, expected) == 0);
            CHECK(length == needed && is_untouched(needed + 1));
        } else {
            GIVES(DCF_TB_ERR_BUFFER_TOO_SMALL, get((char *)buffer, cap, &length));
            CHECK(length == needed + 1 && is_untouched(0));
        }
    }
}

static void texts(void)
{
    TOPIC("texts: the interface and the peer of a stream");
    a_text(interface_name, "lo");
    stream_pair pair = connect_streams(other, t);
    stream = pair.far_end;
    a_text(stream_peer, "::1%lo");
    close_pair(pair);

    TOPIC("the last error is cut to any size, and ends with a NUL");
    char whole[1024];
    GIVES(DCF_TB_ERR_NULL_POINTER, dcf_tb_init(NULL, NULL));
    size_t length = dcf_tb_last_error(whole, sizeof whole);
    CHECK(length == strlen(whole) && length > 0 && length + 2 < SIZE);
    for (size_t cap = 0; cap <= length + 2; cap++) {
        size_t kept = cap > length ? length : cap - 1;
        guard();
        CHECK(dcf_tb_last_error((char *)buffer, cap) == length);
        if (cap == 0) {
            CHECK(is_untouched(0));
            continue;
        }
        CHECK(memcmp(buffer, whole, kept) == 0 && buffer[kept] == '\0');
        CHECK(is_untouched(kept + 1));
    }
}

static void messages(void)
{
    static const size_t sizes[] = {0, 1, 2, 17, 100};
    char sender[SIZE];
    size_t length = 77;

    TOPIC("a message: its buffer, and the buffer of its sender");
    send_text(other, to_t, "who");
    OK(dcf_tb_recv(t, buffer, sizeof buffer, &length, sender, sizeof sender, GENEROUS_MS));
    size_t sender_size = strlen(sender) + 1;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i];
        uint8_t data[100];
        fill(data, size, (uint32_t)i);
        OK(dcf_tb_send(other, to_t, data, size));
        if (size > 0) {
            guard();
            GIVES(DCF_TB_ERR_BUFFER_TOO_SMALL,
                  dcf_tb_recv(t, buffer, size - 1, &length, NULL, 0, GENEROUS_MS));
            CHECK(length == size && is_untouched(0));
        }
        for (size_t cap = 1; cap < sender_size; cap++) {
            guard();
            GIVES(DCF_TB_ERR_BUFFER_TOO_SMALL,
                  dcf_tb_recv(t, buffer, size, &length, (char *)buffer + 128, cap, GENEROUS_MS));
            CHECK(length == size && is_untouched(0));
        }
        guard();
        OK(dcf_tb_recv(t, buffer, size, &length, (char *)buffer + 128, sender_size, 0));
        CHECK(length == size && memcmp(buffer, data, size) == 0);
        CHECK(memcmp(buffer + 128, sender, sender_size) == 0);
        CHECK(is_untouched(128 + sender_size));
        memset(buffer + 128, GUARD, sender_size);
        CHECK(is_untouched(size));
    }
}

/* Sends texts to `t`, and waits until all are in its queue. */
static void queue(const char *const *list, size_t count)
{
    uint64_t before = stats_of(t).messages_received;
    for (size_t i = 0; i < count; i++)
        send_text(other, to_t, list[i]);
    EVENTUALLY(stats_of(t).messages_received == before + count);
}

static void empty_the_queue(void)
{
    size_t length;
    dcf_tb_status status;
    do
        status = dcf_tb_recv(t, buffer, sizeof buffer, &length, NULL, 0, 0);
    while (status == DCF_TB_OK);
    CHECK(status == DCF_TB_WOULD_BLOCK);
}

static void batches(void)
{
    static const char *const two[] = {"0123456789", "01234567890123456789"};
    static const char *const three[] = {"text", "text", "text"};
    dcf_tb_received received[4];
    size_t count = 77;

    TOPIC("a batch: one byte too little for its first message, for its second, and enough for both");
    for (size_t cap = 9; cap <= 31; cap++) {
        queue(two, 2);
        guard();
        if (cap < 10) {
            GIVES(DCF_TB_ERR_BUFFER_TOO_SMALL,
                  dcf_tb_recv_batch(t, buffer, cap, received, 4, &count, GENEROUS_MS));
            CHECK(received[0].len == 10 && is_untouched(0));
        } else {
            size_t expected = cap < 30 ? 1 : 2;
            OK(dcf_tb_recv_batch(t, buffer, cap, received, 4, &count, GENEROUS_MS));
            CHECK(count == expected && received[0].len == 10);
            CHECK(expected == 1 || received[1].len == 20);
            CHECK(is_untouched(cap));
        }
        empty_the_queue();
    }

    TOPIC("no more messages than the array has places");
    for (size_t most = 1; most <= 4; most++) {
        queue(three, 3);
        memset(received, GUARD, sizeof received);
        OK(dcf_tb_recv_batch(t, buffer, sizeof buffer, received, most, &count, 0));
        CHECK(count == (most < 3 ? most : 3));
        for (size_t i = count * sizeof *received; i < sizeof received; i++)
            CHECK(((uint8_t *)received)[i] == GUARD);
        empty_the_queue();
    }
}

static void reads(void)
{
    TOPIC("a read gives no more than its buffer takes");
    stream_pair pair = connect_streams(other, t);
    uint8_t data[100];
    fill(data, sizeof data, 5);
    write_all(pair.near_end, data, sizeof data);
    for (size_t done = 0, cap = 1; done < sizeof data; cap++) {
        size_t count = 77;
        guard();
        OK(dcf_tb_stream_read(pair.far_end, buffer, cap, GENEROUS_MS, &count));
        CHECK(count > 0 && count <= cap && memcmp(buffer, data + done, count) == 0);
        CHECK(is_untouched(count));
        done += count;
    }
    close_pair(pair);
}

int main(void)
{
    t = start_on_loopback();
    other = start_on_loopback();
    snprintf(to_t, sizeof to_t, "%s", peer_strings(t).control);
    texts();
    messages();
    batches();
    reads();
    OK(dcf_tb_close(t));
    OK(dcf_tb_close(other));
    return 0;
}
