/*
  * File transfers that stop half-way: the counted bytes are on the other side, and all others are
  * still at their source, for the next call.
 */
#include "check.h"

enum { SIZE = 1 << 20 };
static uint8_t content[SIZE], back[SIZE];
static dcf_tb_transport a, b;

static void *write_content(void *stream)
{
    write_all(*(dcf_tb_stream *)stream, content, SIZE);
    return NULL;
}

/* A pipe or a pair of sockets whose buffers hold much less than SIZE. End 0 is not read. */
static void small_pair(int sockets, int *ends)
{
    int size = 4096;
    CHECK((sockets ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)
                   : pipe2(ends, O_CLOEXEC)) == 0);
    if (sockets)
        CHECK(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
    else
        CHECK(fcntl(ends[1], F_SETPIPE_SZ, size) == size);
}

static void full_target(int sockets)
{
    TOPIC(sockets ? "receive_file into a full socket: the rest stays in the stream"
                  : "receive_file into a full pipe: the rest stays in the stream");
    int ends[2];
    uint64_t received = 0;
    small_pair(sockets, ends);
    stream_pair pair = connect_streams(a, b);
    pthread_t writer = start_thread(write_content, &pair.near_end);
    GIVES(DCF_TB_ERR_TIMEOUT,
          dcf_tb_stream_receive_file(pair.far_end, ends[1], 0, SIZE, 200, &received));
    CHECK(received > 0 && received < SIZE);
    size_t done = 0;
    while (done < received) {
        ssize_t count = read(ends[0], back + done, SIZE - done);
        CHECK(count > 0);
        done += (size_t)count;
    }
    CHECK(done == received);
    struct pollfd more = {ends[0], POLLIN, 0};
    CHECK(poll(&more, 1, 0) == 0);
    read_exactly(pair.far_end, back + done, SIZE - done);
    join(writer);
    CHECK(memcmp(back, content, SIZE) == 0);
    close(ends[0]);
    close(ends[1]);
    close_pair(pair);
}

static void no_room(void)
{
    TOPIC("receive_file to a full device: an error, and all bytes stay in the stream");
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    uint64_t received = 7;
    CHECK(full >= 0);
    stream_pair pair = connect_streams(a, b);
    write_all(pair.near_end, content, 100000);
    GIVES(DCF_TB_ERR_IO,
          dcf_tb_stream_receive_file(pair.far_end, full, 0, 100000, GENEROUS_MS, &received));
    CHECK(dcf_tb_last_errno() == ENOSPC && received == 0);
    read_exactly(pair.far_end, back, 100000);
    CHECK(memcmp(back, content, 100000) == 0);

    TOPIC("after a detach the bytes are in the buffer or the descriptor");
    write_all(pair.near_end, content, 50000);
    GIVES(DCF_TB_ERR_IO,
          dcf_tb_stream_receive_file(pair.far_end, full, 0, 50000, GENEROUS_MS, &received));
    int32_t fd = -1;
    if (dcf_tb_stream_detach(pair.far_end, &fd) == DCF_TB_OK) {
        CHECK(recv(fd, back, 50000, MSG_WAITALL) == 50000);
    } else {
        read_exactly(pair.far_end, back, 50000);
        OK(dcf_tb_stream_detach(pair.far_end, &fd));
    }
    CHECK(memcmp(back, content, 50000) == 0);
    close(fd);
    OK(dcf_tb_stream_close(pair.near_end));
    close(full);
}

static void *feed(void *fd)
{
    size_t done = 0;
    while (done < SIZE) {
        ssize_t count = write(*(int *)fd, content + done, SIZE - done);
        CHECK(count > 0);
        done += (size_t)count;
    }
    return NULL;
}

static void full_stream(int sockets)
{
    TOPIC(sockets ? "send_file from a socket into a full stream: the rest is not lost"
                  : "send_file from a pipe into a full stream: the rest stays in the pipe");
    int ends[2];
    uint64_t sent = 0, before = 0;
    size_t count = 0;
    dcf_tb_status status;
    static uint8_t zeros[SIZE];
    CHECK((sockets ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)
                   : pipe2(ends, O_CLOEXEC)) == 0);
    stream_pair pair = connect_streams(a, b);
    do {
        status = dcf_tb_stream_write(pair.near_end, zeros, SIZE, 0, &count);
        before += count;
    } while (status == DCF_TB_OK || count > 0);
    pthread_t feeder = start_thread(feed, &ends[1]);
    status = dcf_tb_stream_send_file(pair.near_end, ends[0], 0, SIZE, 50, &sent);
    CHECK(status == DCF_TB_ERR_TIMEOUT && sent < SIZE);

    /* Now the other end reads, and the second call sends the rest. */
    for (uint64_t done = 0; done < before; done += count) {
        size_t want = before - done < SIZE ? (size_t)(before - done) : (size_t)SIZE;
        OK(dcf_tb_stream_read(pair.far_end, back, want, GENEROUS_MS, &count));
    }
    uint64_t first = sent;
    OK(dcf_tb_stream_send_file(pair.near_end, ends[0], 0, SIZE - first, GENEROUS_MS, &sent));
    CHECK(first + sent == SIZE);
    read_exactly(pair.far_end, back, SIZE);
    CHECK(memcmp(back, content, SIZE) == 0);
    join(feeder);
    close(ends[0]);
    close(ends[1]);
    close_pair(pair);
}

int main(void)
{
    a = start_on_loopback();
    b = start_on_loopback();
    fill(content, SIZE, 3);
    for (int sockets = 0; sockets < 2; sockets++) {
        full_target(sockets);
        full_stream(sockets);
    }
    no_room();
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
    return 0;
}
