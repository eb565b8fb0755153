/*
  * A storm of signals into every call that blocks: no call returns before its timeout or its result.
  * The test that started this program slows down the loopback interface when asked.
 */
#include "raw.h"
#include "signal_storm.h"

static dcf_tb_transport t, other;
static stream_pair silent, full, full_too, into_file, into_pipe, from_pipe;
static int file, full_pipe[2], empty_pipe[2], mute, busy_listener;
static char mute_peer[64], busy_peer[64];
static uint8_t data[1 << 20];

static dcf_tb_status in_recv(uint32_t timeout)
{
    uint8_t text[8];
    size_t length;
    return dcf_tb_recv(t, text, sizeof text, &length, NULL, 0, timeout);
}

static dcf_tb_status in_accept(uint32_t timeout)
{
    dcf_tb_stream accepted;
    return dcf_tb_accept(t, timeout, &accepted);
}

static dcf_tb_status in_open_stream(uint32_t timeout)
{
    dcf_tb_stream opened;
    return dcf_tb_open_stream(t, busy_peer, timeout, &opened);
}

static dcf_tb_status in_measure_rtt(uint32_t timeout)
{
    uint64_t rtt;
    return dcf_tb_measure_rtt(t, mute_peer, timeout, &rtt);
}

static dcf_tb_status in_ping(uint32_t timeout)
{
    dcf_tb_rtt summary;
    summary.struct_size = sizeof summary;
    return dcf_tb_ping(t, mute_peer, 3, 1000, timeout, &summary);
}

static dcf_tb_status in_read(uint32_t timeout)
{
    uint8_t byte;
    size_t count;
    return dcf_tb_stream_read(silent.near_end, &byte, 1, timeout, &count);
}

static dcf_tb_status in_write(uint32_t timeout)
{
    size_t count;
    return dcf_tb_stream_write(full.near_end, data, sizeof data, timeout, &count);
}

static dcf_tb_status in_send_file(uint32_t timeout)
{
    uint64_t count;
    return dcf_tb_stream_send_file(full_too.near_end, file, 0, sizeof data, timeout, &count);
}

static dcf_tb_status in_send_from_pipe(uint32_t timeout)
{
    uint64_t count;
    return dcf_tb_stream_send_file(from_pipe.near_end, empty_pipe[0], 0, 1, timeout, &count);
}

static dcf_tb_status in_receive_file(uint32_t timeout)
{
    uint64_t count;
    return dcf_tb_stream_receive_file(into_file.near_end, file, 0, 1, timeout, &count);
}

static dcf_tb_status in_receive_into_pipe(uint32_t timeout)
{
    uint64_t count;
    return dcf_tb_stream_receive_file(into_pipe.near_end, full_pipe[1], 0, 1, timeout, &count);
}

static waiting calls[] = {
    CALL("recv", in_recv),
    CALL("accept", in_accept),
    CALL("open_stream", in_open_stream),
    CALL("measure_rtt", in_measure_rtt),
    CALL("ping", in_ping),
    CALL("stream_read", in_read),
    CALL("stream_write", in_write),
    CALL("send_file", in_send_file),
    CALL("send_file, from an empty pipe", in_send_from_pipe),
    CALL("receive_file", in_receive_file),
    CALL("receive_file, into a full pipe", in_receive_into_pipe),
};
enum { LIMITED = sizeof calls / sizeof calls[0] };

static stream_pair full_pair(void)
{
    stream_pair pair = connect_streams(t, other);
    size_t count;
    do
        (void)dcf_tb_stream_write(pair.near_end, data, sizeof data, 0, &count);
    while (count > 0);
    return pair;
}

static void set_up(void)
{
    char path[] = "/tmp/dcf-tb-XXXXXX";
    t = start_on_loopback();
    other = start_on_loopback();
    CHECK((file = mkstemp(path)) >= 0 && unlink(path) == 0);
    CHECK(ftruncate(file, sizeof data) == 0);
    CHECK(pipe2(full_pipe, O_CLOEXEC) == 0 && pipe2(empty_pipe, O_CLOEXEC) == 0);
    CHECK(fcntl(full_pipe[1], F_SETFL, O_NONBLOCK) == 0);
    while (write(full_pipe[1], data, 4096) > 0)
        continue;

    mute = raw_socket(SOCK_DGRAM, "::1", 0);
    snprintf(mute_peer, sizeof mute_peer, "[::1%%lo]:%u", raw_port(mute));
    /* A listener whose backlog is full. */
    busy_listener = raw_socket(SOCK_STREAM, "::1", 0);
    CHECK(listen(busy_listener, 0) == 0);
    int first = raw_socket(SOCK_STREAM, "::1", 0);
    struct sockaddr_in6 address = raw_address("::1", raw_port(busy_listener));
    CHECK(connect(first, (struct sockaddr *)&address, sizeof address) == 0);
    snprintf(busy_peer, sizeof busy_peer, "[::1%%lo]:%u", raw_port(busy_listener));

    silent = connect_streams(t, other);
    into_file = connect_streams(t, other);
    into_pipe = connect_streams(t, other);
    from_pipe = connect_streams(t, other);
    full = full_pair();
    full_too = full_pair();
    write_all(into_pipe.far_end, "x", 1);
}

static void *drain(void *stream)
{
    uint8_t piece[1 << 14];
    size_t count;
    while (dcf_tb_stream_read(*(dcf_tb_stream *)stream, piece, sizeof piece, DCF_TB_WAIT_FOREVER,
                              &count) == DCF_TB_OK)
        continue;
    return NULL;
}

static int answers_end;

static void *answer(void *unused)
{
    struct sockaddr_in6 from;
    uint8_t ping[16];
    while (raw_receive(mute, ping, sizeof ping, &from) == sizeof ping && !value(&answers_end)) {
        memcpy(ping, PONG, sizeof PONG);
        raw_send(mute, ping, sizeof ping, from);
    }
    return unused;
}

static void *take_connections(void *unused)
{
    while (accept(busy_listener, NULL, NULL) >= 0)
        continue;
    return unused;
}

static void until_they_have_what_they_wait_for(void)
{
    TOPIC("without a limit: each call continues until it has its result");
    pthread_t helpers[4];
    dcf_tb_stream stream = 0;
    uint8_t byte;
    begin_calls(calls, LIMITED, 0);
    all_interrupted(calls, LIMITED);
    send_text(other, peer_strings(t).control, "in");
    OK(dcf_tb_open_stream(other, peer_strings(t).data, GENEROUS_MS, &stream));
    helpers[0] = start_thread(take_connections, NULL);
    helpers[1] = start_thread(answer, NULL);
    write_all(silent.far_end, "x", 1);
    write_all(into_file.far_end, "x", 1);
    helpers[2] = start_thread(drain, &full.far_end);
    helpers[3] = start_thread(drain, &full_too.far_end);
    CHECK(write(empty_pipe[1], "x", 1) == 1);
    for (int i = 0; i < 4096; i++)
        CHECK(read(full_pipe[0], &byte, 1) == 1);
    end_calls(calls, LIMITED, DCF_TB_OK);

    set(&answers_end, 1);
    raw_send(mute, "", 0, raw_address("::1", raw_port(mute)));
    CHECK(shutdown(busy_listener, SHUT_RDWR) == 0);
    OK(dcf_tb_close(t));
    OK(dcf_tb_close(other));
    for (int i = 0; i < 4; i++)
        join(helpers[i]);
}

static void while_time_is_left(void)
{
    TOPIC("with a limit: each call waits for its whole time, then gives TIMEOUT");
    begin_calls(calls, LIMITED, 1);
    end_calls(calls, LIMITED, DCF_TB_ERR_TIMEOUT);
    for (int i = 0; i < LIMITED; i++)
        CHECK(calls[i].took >= TIMEOUT_MS - 1);
}

static dcf_tb_status in_discover(uint32_t timeout)
{
    dcf_tb_peer found;
    size_t count;
    return dcf_tb_discover(t, timeout, &found, 1, &count);
}

static void discovery(void)
{
    static waiting discovering[] = {CALL("discover", in_discover)};
    begin_calls(discovering, 1, 1);
    end_calls(discovering, 1, DCF_TB_OK);
    CHECK(discovering[0].took >= TIMEOUT_MS - 1);
}

static dcf_tb_status in_wait_link(uint32_t timeout)
{
    return dcf_tb_wait_link(t, 0, timeout);
}

/* Waits for a link change that does not happen. */
static void the_link(void)
{
    static waiting for_link[] = {CALL("wait_link", in_wait_link)};
    begin_calls(for_link, 1, 1);
    end_calls(for_link, 1, DCF_TB_ERR_TIMEOUT);
    CHECK(for_link[0].took >= TIMEOUT_MS - 1);
}

static uint64_t last_send;

/* Sends until the queue is full and a send waits for room. */
static dcf_tb_status in_send(uint32_t unused)
{
    dcf_tb_status status;
    (void)unused;
    do {
        uint64_t begin = milliseconds();
        status = dcf_tb_send(t, "[::1%lo]:9", data, 1000);
        last_send = milliseconds() - begin;
    } while (status == DCF_TB_OK);
    return status;
}

static void full_queue(void)
{
    TOPIC("a send into a full queue waits for a second");
    static waiting sending[] = {CALL("send", in_send)};
    dcf_tb_config config = loopback_config();
    config.buffer_size = 4096;
    t = start(&config);
    request("slow");
    begin_calls(sending, 1, 0);
    end_calls(sending, 1, DCF_TB_ERR_QUEUE_FULL);
    CHECK(last_send >= 999);
    OK(dcf_tb_close(t));
}

int main(void)
{
    begin_storm();
    set_up();
    while_time_is_left();
    discovery();
    the_link();
    until_they_have_what_they_wait_for();
    full_queue();
    end_storm();
    return 0;
}
