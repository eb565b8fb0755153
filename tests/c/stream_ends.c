/* Opening, refusing, limiting, resetting, polling and detaching streams. */
#include "check.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

static int option(dcf_tb_stream stream, int level, int name)
{
    int32_t fd = -1;
    int number = -1;
    socklen_t length = sizeof number;
    OK(dcf_tb_stream_fd(stream, &fd));
    CHECK(getsockopt(fd, level, name, &number, &length) == 0);
    return number;
}

static void options(void)
{
    TOPIC("both ends have the configured socket options");
    for (int on = 0; on < 2; on++) {
        dcf_tb_config config = loopback_config();
        config.tcp_nodelay = config.tcp_keepalive = (uint8_t)on;
        config.stream_dead_after_ms = on ? 4321 : 0;
        dcf_tb_transport t = start(&config);
        stream_pair pair = connect_streams(t, t);
        const dcf_tb_stream ends[] = {pair.near_end, pair.far_end};
        for (int i = 0; i < 2; i++) {
            CHECK((option(ends[i], IPPROTO_TCP, TCP_NODELAY) != 0) == on);
            CHECK((option(ends[i], SOL_SOCKET, SO_KEEPALIVE) != 0) == on);
            CHECK(option(ends[i], IPPROTO_TCP, TCP_USER_TIMEOUT) == (on ? 4321 : 0));
        }
        OK(dcf_tb_close(t));
    }
}

static void waiting_to_accept(dcf_tb_transport t)
{
    dcf_tb_stream stream = 0;
    TOPIC("accept without a stream: timeout 0 gives WOULD_BLOCK, a finite one expires");
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_accept(t, 0, &stream));
    uint64_t start = milliseconds();
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_accept(t, 50, &stream));
    CHECK(milliseconds() - start >= 49);
    CHECK(stream == 0);
}

static void limit(void)
{
    TOPIC("max_streams bounds both directions");
    dcf_tb_config config = loopback_config();
    config.max_streams = 2;
    dcf_tb_transport small = start(&config), peer = start_on_loopback();
    stream_pair one = connect_streams(small, peer), two = connect_streams(peer, small);
    dcf_tb_stream stream = 0;
    CHECK(stats_of(small).streams_open == 2);

    GIVES(DCF_TB_ERR_TOO_MANY_CONNECTIONS,
          dcf_tb_open_stream(small, peer_strings(peer).data, GENEROUS_MS, &stream));
    CHECK(error_says("2"));

    TOPIC("a connection beyond the limit is reset, and counted as rejected");
    uint64_t rejected = stats_of(small).rejected;
    dcf_tb_status status =
        dcf_tb_open_stream(peer, peer_strings(small).data, GENEROUS_MS, &stream);
    if (status == DCF_TB_OK) {
        uint8_t byte;
        size_t count;
        GIVES(DCF_TB_ERR_CONNECTION_RESET,
              dcf_tb_stream_read(stream, &byte, 1, GENEROUS_MS, &count));
        OK(dcf_tb_stream_close(stream));
    } else {
        CHECK(status == DCF_TB_ERR_CONNECTION_RESET);
    }
    EVENTUALLY(stats_of(small).rejected == rejected + 1);
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_accept(small, 0, &stream));

    TOPIC("a closed stream makes room");
    close_pair(one);
    one = connect_streams(small, peer);
    OK(dcf_tb_stream_close(two.far_end));
    two = connect_streams(peer, small);
    OK(dcf_tb_close(small));
    OK(dcf_tb_close(peer));
}

static void reset_by_peer(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("a peer that closes with unread bytes resets the stream");
    stream_pair pair = connect_streams(a, b);
    uint8_t buffer[16];
    size_t count = 0;
    dcf_tb_status status;
    write_all(pair.near_end, "unread", 6);
    OK(dcf_tb_stream_read(pair.far_end, buffer, 1, GENEROUS_MS, &count));
    OK(dcf_tb_stream_close(pair.far_end));
    do
        status = dcf_tb_stream_write(pair.near_end, buffer, sizeof buffer, GENEROUS_MS, &count);
    while (status == DCF_TB_OK);
    CHECK(status == DCF_TB_ERR_CONNECTION_RESET || status == DCF_TB_ERR_BROKEN_PIPE);
    CHECK(error_says("::1%lo"));
    OK(dcf_tb_stream_close(pair.near_end));
}

static void polling(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("the stream's descriptor can be polled, and the library still owns it");
    stream_pair pair = connect_streams(a, b);
    int32_t fd = -1;
    OK(dcf_tb_stream_fd(pair.far_end, &fd));
    struct pollfd entry = {fd, POLLIN, 0};
    CHECK(poll(&entry, 1, 0) == 0);
    write_all(pair.near_end, "x", 1);
    CHECK(poll(&entry, 1, GENEROUS_MS) == 1 && entry.revents == POLLIN);
    char byte;
    read_exactly(pair.far_end, &byte, 1);
    CHECK(poll(&entry, 1, 0) == 0);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    OK(dcf_tb_stream_close(pair.far_end));
    OK(dcf_tb_stream_close(pair.near_end));
}

static void detaching(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("a detached stream is a blocking descriptor of the caller, and its handle is invalid");
    stream_pair pair = connect_streams(a, b);
    int32_t fds[2] = {-1, -1};
    char text[5];
    write_all(pair.near_end, "early", 5);
    OK(dcf_tb_stream_detach(pair.near_end, &fds[0]));
    OK(dcf_tb_stream_detach(pair.far_end, &fds[1]));
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_stream_close(pair.near_end));
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_stream_detach(pair.far_end, &fds[1]));
    EVENTUALLY(stats_of(a).streams_open == 0 && stats_of(b).streams_open == 0);
    for (int i = 0; i < 2; i++) {
        CHECK((fcntl(fds[i], F_GETFL) & O_NONBLOCK) == 0);
        CHECK((fcntl(fds[i], F_GETFD) & FD_CLOEXEC) != 0);
    }
    CHECK(recv(fds[1], text, 5, MSG_WAITALL) == 5 && memcmp(text, "early", 5) == 0);

    TOPIC("a detached stream outlives its transports");
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
    CHECK(write(fds[1], "later", 5) == 5);
    CHECK(recv(fds[0], text, 5, MSG_WAITALL) == 5 && memcmp(text, "later", 5) == 0);
    CHECK(close(fds[0]) == 0);
    CHECK(read(fds[1], text, 5) == 0);
    CHECK(close(fds[1]) == 0);
}

int main(void)
{
    options();
    dcf_tb_transport a = start_on_loopback(), b = start_on_loopback();
    waiting_to_accept(b);
    limit();
    reset_by_peer(a, b);
    polling(a, b);

    TOPIC("timeout 0 of open_stream means connect_timeout_ms");
    dcf_tb_stream stream = 0;
    OK(dcf_tb_open_stream(a, peer_strings(b).data, 0, &stream));
    OK(dcf_tb_stream_close(stream));
    OK(dcf_tb_accept(b, GENEROUS_MS, &stream));
    OK(dcf_tb_stream_close(stream));
    detaching(a, b);
    return 0;
}
