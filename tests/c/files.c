/* Files over streams: every kind of descriptor on either side, offsets, ends, timeouts. */
#include "check.h"

enum { SIZE = 3 << 20 };
static uint8_t content[SIZE], buffer[SIZE];
static dcf_tb_transport a, b;

static int empty_file(void)
{
    FILE *file = tmpfile();
    CHECK(file != NULL);
    int fd = fcntl(fileno(file), F_DUPFD_CLOEXEC, 0);
    CHECK(fd >= 0);
    fclose(file);
    return fd;
}

static int file_of(size_t length)
{
    int fd = empty_file();
    CHECK(write(fd, content, length) == (ssize_t)length);
    return fd;
}

/* Reads `length` bytes from a stream, then its end. */
typedef struct sink {
    dcf_tb_stream stream;
    size_t length;
} sink;

static void *read_all(void *argument)
{
    sink *s = (sink *)argument;
    size_t count = 0;
    uint8_t byte;
    read_exactly(s->stream, buffer, s->length);
    GIVES(DCF_TB_EOF, dcf_tb_stream_read(s->stream, &byte, 1, GENEROUS_MS, &count));
    return NULL;
}

/* Sends from `fd`, and compares the received bytes with the expected ones. */
static void sends(int fd, uint64_t offset, uint64_t count, dcf_tb_status expected,
                  const uint8_t *data, size_t length)
{
    stream_pair pair = connect_streams(a, b);
    sink s = {pair.far_end, length};
    pthread_t reader = start_thread(read_all, &s);
    uint64_t sent = 77;
    GIVES(expected, dcf_tb_stream_send_file(pair.near_end, fd, offset, count, GENEROUS_MS, &sent));
    CHECK(sent == length);
    OK(dcf_tb_stream_finish(pair.near_end));
    join(reader);
    CHECK(memcmp(buffer, data, length) == 0);
    close_pair(pair);
}

static void sending(void)
{
    int fd = file_of(SIZE);
    TOPIC("send_file: a whole file, a part of it, no bytes of it");
    sends(fd, 0, SIZE, DCF_TB_OK, content, SIZE);
    sends(fd, 4097, 100001, DCF_TB_OK, content + 4097, 100001);
    sends(fd, 5, 0, DCF_TB_OK, content, 0);
    CHECK(lseek(fd, 0, SEEK_CUR) == SIZE); /* the descriptor's position is unchanged */

    TOPIC("send_file beyond the file's end: end of file, and the exact count");
    sends(fd, SIZE - 1000, 5000, DCF_TB_EOF, content + SIZE - 1000, 1000);
    sends(fd, SIZE, 1, DCF_TB_EOF, content, 0);
    sends(fd, (uint64_t)1 << 40, 1, DCF_TB_EOF, content, 0);
    sends(fd, 0, UINT64_MAX, DCF_TB_EOF, content, SIZE);
    close(fd);

    TOPIC("send_file of a file with holes");
    static uint8_t with_hole[200000];
    fd = empty_file();
    CHECK(pwrite(fd, "end", 3, 199997) == 3);
    memcpy(with_hole + 199997, "end", 3);
    sends(fd, 0, 200000, DCF_TB_OK, with_hole, 200000);
    close(fd);

    TOPIC("send_file of a file with no known size");
    fd = open("/proc/version", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    static uint8_t version[4096];
    ssize_t length = pread(fd, version, sizeof version, 0);
    CHECK(length > 0);
    sends(fd, 0, sizeof version, DCF_TB_EOF, version, (size_t)length);
    close(fd);
}

typedef struct source {
    int fd;
    size_t length;
} source;

static void *feed(void *argument)
{
    source *s = (source *)argument;
    size_t done = 0;
    while (done < s->length) {
        ssize_t count = write(s->fd, content + done, s->length - done);
        CHECK(count > 0);
        done += (size_t)count;
    }
    close(s->fd);
    return NULL;
}

static void sending_from_pipes(void)
{
    for (int socket = 0; socket < 2; socket++) {
        TOPIC(socket ? "send_file from a socket" : "send_file from a pipe");
        int ends[2];
        CHECK((socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends)) == 0);
        source s = {ends[1], SIZE};
        pthread_t feeder = start_thread(feed, &s);
        sends(ends[0], 0, SIZE + 5, DCF_TB_EOF, content, SIZE);
        join(feeder);
        close(ends[0]);
    }
}

static void *write_then_finish(void *argument)
{
    sink *s = (sink *)argument;
    write_all(s->stream, content, s->length);
    OK(dcf_tb_stream_finish(s->stream));
    return NULL;
}

static void receiving(void)
{
    TOPIC("receive_file: to an offset, then to the stream's end");
    int fd = file_of(10);
    stream_pair pair = connect_streams(a, b);
    sink s = {pair.near_end, SIZE};
    pthread_t writer = start_thread(write_then_finish, &s);
    uint64_t received = 77;
    OK(dcf_tb_stream_receive_file(pair.far_end, fd, 100, 1000, GENEROUS_MS, &received));
    CHECK(received == 1000);
    GIVES(DCF_TB_EOF, dcf_tb_stream_receive_file(pair.far_end, fd, 1100, UINT64_MAX, GENEROUS_MS,
                                                 &received));
    CHECK(received == SIZE - 1000);
    GIVES(DCF_TB_EOF,
          dcf_tb_stream_receive_file(pair.far_end, fd, 0, 1, GENEROUS_MS, &received));
    CHECK(received == 0);
    join(writer);
    struct stat status;
    CHECK(fstat(fd, &status) == 0 && status.st_size == SIZE + 100);
    CHECK(pread(fd, buffer, SIZE, 100) == SIZE && memcmp(buffer, content, SIZE) == 0);
    CHECK(pread(fd, buffer, 100, 0) == 100 && memcmp(buffer, content, 10) == 0);
    CHECK(buffer[10] == 0 && buffer[99] == 0);
    CHECK(lseek(fd, 0, SEEK_CUR) == 10);
    close_pair(pair);
    close(fd);
}

static void *drain(void *argument)
{
    source *s = (source *)argument;
    size_t done = 0;
    ssize_t count;
    while ((count = read(s->fd, buffer + done, SIZE - done)) > 0)
        done += (size_t)count;
    CHECK(done == s->length);
    return NULL;
}

static void receiving_into_pipes(void)
{
    for (int socket = 0; socket < 2; socket++) {
        TOPIC(socket ? "receive_file into a socket" : "receive_file into a pipe");
        int ends[2];
        CHECK((socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends)) == 0);
        stream_pair pair = connect_streams(a, b);
        sink s = {pair.near_end, SIZE};
        source target = {ends[0], SIZE};
        pthread_t writer = start_thread(write_then_finish, &s);
        pthread_t reader = start_thread(drain, &target);
        uint64_t received = 0;
        OK(dcf_tb_stream_receive_file(pair.far_end, ends[1], 0, SIZE, GENEROUS_MS, &received));
        CHECK(received == SIZE);
        close(ends[1]);
        join(writer);
        join(reader);
        CHECK(memcmp(buffer, content, SIZE) == 0);
        close(ends[0]);
        close_pair(pair);
    }
}

static void time_outs(void)
{
    TOPIC("send_file that times out: *sent is the count from which to continue");
    int fd = empty_file();
    CHECK(ftruncate(fd, 64 << 20) == 0);
    stream_pair pair = connect_streams(a, b);
    uint64_t sent = 77, total = 0, received = 0;
    GIVES(DCF_TB_WOULD_BLOCK,
          dcf_tb_stream_send_file(pair.near_end, fd, 0, 64 << 20, 0, &sent));
    CHECK(sent > 0 && sent < 64 << 20);
    total = sent;
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_stream_send_file(pair.near_end, fd, total,
                                                      (64 << 20) - total, 50, &sent));
    total += sent;
    OK(dcf_tb_stream_finish(pair.near_end));
    int target = empty_file();
    GIVES(DCF_TB_EOF, dcf_tb_stream_receive_file(pair.far_end, target, 0, UINT64_MAX,
                                                 GENEROUS_MS, &received));
    CHECK(received == total);
    close_pair(pair);

    TOPIC("receive_file without data");
    pair = connect_streams(a, b);
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_stream_receive_file(pair.far_end, target, 0, 9, 0, &received));
    CHECK(received == 0);
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_stream_receive_file(pair.far_end, target, 0, 9, 50, &received));
    write_all(pair.near_end, "four", 4);
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_stream_receive_file(pair.far_end, target, 0, 9, 50, &received));
    CHECK(received == 4 && pread(target, buffer, 4, 0) == 4 && memcmp(buffer, "four", 4) == 0);

    TOPIC("send_file from an empty pipe");
    int ends[2];
    CHECK(pipe(ends) == 0);
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_stream_send_file(pair.near_end, ends[0], 0, 9, 0, &sent));
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_stream_send_file(pair.near_end, ends[0], 0, 9, 50, &sent));
    CHECK(sent == 0);
    CHECK((fcntl(ends[0], F_GETFL) & O_NONBLOCK) == 0);

    TOPIC("receive_file into a pipe without a reader: an error, and no signal");
    close(ends[0]);
    write_all(pair.near_end, "lost", 4);
    GIVES(DCF_TB_ERR_BROKEN_PIPE,
          dcf_tb_stream_receive_file(pair.far_end, ends[1], 0, 4, GENEROUS_MS, &received));
    close(ends[1]);

    TOPIC("descriptors that cannot be used");
    GIVES(DCF_TB_ERR_OUT_OF_RANGE,
          dcf_tb_stream_send_file(pair.near_end, -1, 0, 4, GENEROUS_MS, &sent));
    GIVES(DCF_TB_ERR_IO, dcf_tb_stream_send_file(pair.near_end, 9999, 0, 4, GENEROUS_MS, &sent));
    CHECK(dcf_tb_last_errno() == EBADF && sent == 0);
    int read_only = open("/proc/version", O_RDONLY | O_CLOEXEC);
    write_all(pair.near_end, "data", 4);
    GIVES(DCF_TB_ERR_IO,
          dcf_tb_stream_receive_file(pair.far_end, read_only, 0, 4, GENEROUS_MS, &received));
    CHECK(dcf_tb_last_errno() == EBADF && received == 0);
    close(read_only);

    TOPIC("impossible offsets");
    GIVES(DCF_TB_ERR_OUT_OF_RANGE,
          dcf_tb_stream_send_file(pair.near_end, fd, UINT64_MAX, 4, GENEROUS_MS, &sent));
    GIVES(DCF_TB_ERR_OUT_OF_RANGE,
          dcf_tb_stream_receive_file(pair.far_end, target, UINT64_MAX, 4, GENEROUS_MS, &received));
    read_exactly(pair.far_end, buffer, 8); /* the bytes that the file refused are still there */
    CHECK(memcmp(buffer, "lostdata", 8) == 0);
    close_pair(pair);
    close(fd);
    close(target);
}

int main(void)
{
    a = start_on_loopback();
    b = start_on_loopback();
    fill(content, SIZE, 1);
    sending();
    sending_from_pipes();
    receiving();
    receiving_into_pipes();
    time_outs();
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
    return 0;
}
