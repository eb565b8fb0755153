/* Settings that change while a transport runs: values, refusals, and limits below what is in use. */
#include "raw.h"

#include <netinet/tcp.h>

static uint64_t option(dcf_tb_transport t, int32_t which)
{
    uint64_t value = 0;
    OK(dcf_tb_get_option(t, which, &value));
    return value;
}

static void set_option(dcf_tb_transport t, int32_t which, uint64_t value)
{
    OK(dcf_tb_set_option(t, which, value));
    CHECK(option(t, which) == value);
}

static void values(void)
{
    TOPIC("each option begins with the configured value, and takes the new one");
    dcf_tb_config config = loopback_config();
    config.log_level = DCF_TB_LOG_WARN;
    config.busy_poll_us = 11;
    config.receive_queue = 12;
    config.receive_queue_bytes = 1300;
    config.max_streams = 14;
    config.max_silent_streams = 15;
    config.silent_after_ms = 16;
    config.connect_timeout_ms = 17;
    config.allow_any_source = 7;
    config.stream_dead_after_ms = 18;
    const uint64_t configured[] = {DCF_TB_LOG_WARN, 11, 12, 1300, 14, 15, 16, 17, 1, 18};
    const uint64_t largest[] = {DCF_TB_LOG_ERROR, UINT32_MAX, UINT32_MAX, UINT64_MAX, UINT32_MAX,
                                UINT32_MAX,       UINT32_MAX, UINT32_MAX, 1,          INT32_MAX};
    const uint64_t smallest[] = {DCF_TB_LOG_DEBUG, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    const int count = sizeof configured / sizeof configured[0];
    dcf_tb_transport t = start(&config);
    for (int i = 0; i < count; i++)
        CHECK(option(t, i + 1) == configured[i]);
    for (int i = 0; i < count; i++) {
        set_option(t, i + 1, largest[i]);
        set_option(t, i + 1, smallest[i]);
    }
    OK(dcf_tb_set_option(t, DCF_TB_OPTION_ALLOW_ANY_SOURCE, 256));
    CHECK(option(t, DCF_TB_OPTION_ALLOW_ANY_SOURCE) == 1);

    TOPIC("other transports are not changed");
    dcf_tb_transport other = start(&config);
    for (int i = 0; i < count; i++)
        CHECK(option(other, i + 1) == configured[i]);
    OK(dcf_tb_close(other));

    TOPIC("a value that init refuses is refused with the same text, and nothing changes");
    const uint64_t levels[] = {0, 5, (uint64_t)1 << 32, ((uint64_t)1 << 32) + 2, UINT64_MAX};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        GIVES(DCF_TB_ERR_CONFIG_INVALID, dcf_tb_set_option(t, DCF_TB_OPTION_LOG_LEVEL, levels[i]));
        CHECK(option(t, DCF_TB_OPTION_LOG_LEVEL) == DCF_TB_LOG_DEBUG);
    }
    const char *const words = "log_level is 5: it must be 1 to 4, DCF_TB_LOG_DEBUG to DCF_TB_LOG_ERROR";
    GIVES(DCF_TB_ERR_CONFIG_INVALID, dcf_tb_set_option(t, DCF_TB_OPTION_LOG_LEVEL, 5));
    CHECK(error_says(words));
    config.log_level = 5;
    GIVES(DCF_TB_ERR_CONFIG_INVALID, dcf_tb_init(&config, &other));
    CHECK(error_says(words));
    for (int i = DCF_TB_OPTION_BUSY_POLL_US; i <= count; i++)
        if (i != DCF_TB_OPTION_RECEIVE_QUEUE_BYTES && i != DCF_TB_OPTION_ALLOW_ANY_SOURCE) {
            GIVES(DCF_TB_ERR_CONFIG_INVALID, dcf_tb_set_option(t, i, (uint64_t)UINT32_MAX + 1));
            CHECK(error_says("is 4294967296: it must be at most 4294967295"));
            CHECK(option(t, i) == 0);
        }

    TOPIC("the error quotes an unknown option");
    const int32_t unknown[] = {0, -1, 11, 1000, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        char quoted[64];
        uint64_t value = 77;
        snprintf(quoted, sizeof quoted, "option is %d: it must be one of", (int)unknown[i]);
        GIVES(DCF_TB_ERR_CONFIG_INVALID, dcf_tb_set_option(t, unknown[i], 1));
        CHECK(error_says(quoted));
        GIVES(DCF_TB_ERR_CONFIG_INVALID, dcf_tb_get_option(t, unknown[i], &value));
        CHECK(error_says(quoted) && value == 77);
    }
    OK(dcf_tb_close(t));
}

static int debug_records;

static void on_log(int32_t level, const char *message, void *unused)
{
    (void)message, (void)unused;
    if (level == DCF_TB_LOG_DEBUG)
        add(&debug_records, 1);
}

static void log_level(void)
{
    TOPIC("the log level takes effect at once, in both directions");
    dcf_tb_config config = loopback_config();
    config.on_log = on_log;
    dcf_tb_transport t = start(&config);
    for (int turn = 0; turn < 3; turn++) {
        const int before = value(&debug_records);
        set_option(t, DCF_TB_OPTION_LOG_LEVEL, DCF_TB_LOG_INFO);
        stream_pair pair = connect_streams(t, t);
        close_pair(pair);
        CHECK(value(&debug_records) == before);
        set_option(t, DCF_TB_OPTION_LOG_LEVEL, DCF_TB_LOG_DEBUG);
        pair = connect_streams(t, t);
        close_pair(pair);
        CHECK(value(&debug_records) >= before + 2);
    }
    OK(dcf_tb_close(t));
}

static void max_streams(void)
{
    TOPIC("a limit below the number of open streams: they stay, and new ones are refused until there is room");
    dcf_tb_transport a = start_on_loopback(), b = start_on_loopback();
    stream_pair pairs[3];
    char text[4];
    for (int i = 0; i < 3; i++)
        pairs[i] = connect_streams(a, b);
    set_option(a, DCF_TB_OPTION_MAX_STREAMS, 2);
    dcf_tb_stream stream = 77;
    for (int i = 0; i < 3; i++) {
        write_all(pairs[i].near_end, "here", 4);
        read_exactly(pairs[i].far_end, text, 4);
    }
    GIVES(DCF_TB_ERR_TOO_MANY_CONNECTIONS,
          dcf_tb_open_stream(a, peer_strings(b).data, GENEROUS_MS, &stream));
    CHECK(error_says("2") && stream == 77);
    OK(dcf_tb_stream_close(pairs[0].near_end));
    GIVES(DCF_TB_ERR_TOO_MANY_CONNECTIONS,
          dcf_tb_open_stream(a, peer_strings(b).data, GENEROUS_MS, &stream));
    OK(dcf_tb_stream_close(pairs[1].near_end));
    OK(dcf_tb_open_stream(a, peer_strings(b).data, GENEROUS_MS, &stream));
    OK(dcf_tb_accept(b, GENEROUS_MS, &pairs[0].near_end));

    TOPIC("streams of peers are refused too, and counted, and accepted again when there is room");
    set_option(b, DCF_TB_OPTION_MAX_STREAMS, 0);
    set_option(a, DCF_TB_OPTION_MAX_STREAMS, 1024);
    dcf_tb_status status = dcf_tb_open_stream(a, peer_strings(b).data, GENEROUS_MS, &stream);
    CHECK(status == DCF_TB_OK || status == DCF_TB_ERR_CONNECTION_RESET);
    EVENTUALLY(stats_of(b).rejected_max_streams == 1);
    write_all(pairs[2].near_end, "here", 4);
    read_exactly(pairs[2].far_end, text, 4);
    set_option(b, DCF_TB_OPTION_MAX_STREAMS, 1024);
    stream_pair pair = connect_streams(a, b);
    write_all(pair.near_end, "here", 4);
    read_exactly(pair.far_end, text, 4);
    CHECK(stats_of(b).rejected_max_streams == 1);
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
}

/* Sends a message, and waits until it was received or dropped. */
static void send_and_wait(dcf_tb_transport t, const char *text)
{
    const uint64_t before = stats_of(t).messages_received;
    send_text(t, "::1%lo", text);
    EVENTUALLY(stats_of(t).messages_received == before + 1);
}

static void receive_queue(void)
{
    TOPIC("a limit below the number of queued messages: they stay, and new ones are dropped until there is room");
    dcf_tb_transport t = start_on_loopback();
    const char *const texts[] = {"one", "two", "three", "four"};
    for (int i = 0; i < 4; i++)
        send_and_wait(t, texts[i]);
    set_option(t, DCF_TB_OPTION_RECEIVE_QUEUE, 2);
    send_and_wait(t, "dropped");
    EVENTUALLY(stats_of(t).messages_dropped == 1);
    for (int i = 0; i < 3; i++)
        expect_text(t, texts[i]);
    send_and_wait(t, "five");
    CHECK(stats_of(t).messages_dropped == 1);
    expect_text(t, "four");
    expect_text(t, "five");

    TOPIC("the same for the limit in bytes");
    send_and_wait(t, "12345");
    set_option(t, DCF_TB_OPTION_RECEIVE_QUEUE_BYTES, 4);
    send_and_wait(t, "x");
    EVENTUALLY(stats_of(t).dropped_memory == 1);
    expect_text(t, "12345");
    send_and_wait(t, "1234");
    expect_text(t, "1234");
    CHECK(stats_of(t).messages_dropped == 2);
    OK(dcf_tb_close(t));
}

static void silent_streams(void)
{
    TOPIC("silent streams: a limit below their number, then no limit, then a limit again");
    dcf_tb_transport a = start_on_loopback(), b = start_on_loopback();
    set_option(b, DCF_TB_OPTION_SILENT_AFTER_MS, UINT32_MAX);
    stream_pair silent[2] = {connect_streams(a, b), connect_streams(a, b)};
    set_option(b, DCF_TB_OPTION_MAX_SILENT_STREAMS, 1);
    dcf_tb_stream stream;
    (void)dcf_tb_open_stream(a, peer_strings(b).data, GENEROUS_MS, &stream);
    EVENTUALLY(stats_of(b).rejected_silent == 1);
    set_option(b, DCF_TB_OPTION_MAX_SILENT_STREAMS, 0);
    stream_pair third = connect_streams(a, b);
    CHECK(stats_of(b).rejected_silent == 1);
    /* The three silent streams count, although they came before the limit. */
    set_option(b, DCF_TB_OPTION_MAX_SILENT_STREAMS, 3);
    (void)dcf_tb_open_stream(a, peer_strings(b).data, GENEROUS_MS, &stream);
    EVENTUALLY(stats_of(b).rejected_silent == 2);
    CHECK(stats_of(b).connections_accepted == 3);

    TOPIC("a new silent_after_ms applies to existing streams");
    set_option(b, DCF_TB_OPTION_SILENT_AFTER_MS, 0);
    stream_pair fourth = connect_streams(a, b);
    EVENTUALLY(stats_of(b).rejected_silent == 3);
    uint8_t byte;
    size_t count;
    /* The oldest stream was reset; the others are still open. */
    GIVES(DCF_TB_ERR_CONNECTION_ABORTED,
          dcf_tb_stream_read(silent[0].far_end, &byte, 1, GENEROUS_MS, &count));
    stream_pair *const left[] = {&silent[1], &third, &fourth};
    for (int i = 0; i < 3; i++) {
        char text[4];
        write_all(left[i]->near_end, "here", 4);
        read_exactly(left[i]->far_end, text, 4);
    }
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
}

static void connect_timeout(void)
{
    TOPIC("connect_timeout_ms: the next call uses the new value");
    dcf_tb_config config = loopback_config();
    config.connect_timeout_ms = UINT32_MAX - 1;
    dcf_tb_transport t = start(&config);
    /* A listener whose backlog is full does not answer connections. */
    int listener = raw_socket(SOCK_STREAM, "::1", 0), fillers[8];
    struct sockaddr_in6 address = raw_address("::1", raw_port(listener));
    CHECK(listen(listener, 0) == 0);
    for (int i = 0; i < 8; i++) {
        fillers[i] = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(fillers[i], (struct sockaddr *)&address, sizeof address);
    }
    set_option(t, DCF_TB_OPTION_CONNECT_TIMEOUT_MS, 200);
    char peer[80];
    dcf_tb_stream stream;
    snprintf(peer, sizeof peer, "[::1%%lo]:%u", raw_port(listener));
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_open_stream(t, peer, 0, &stream));
    CHECK(error_says("200"));
    for (int i = 0; i < 8; i++)
        close(fillers[i]);
    close(listener);
    OK(dcf_tb_close(t));
}

/* TCP_USER_TIMEOUT in milliseconds, and the seconds after which an idle stream is probed. */
static void dead_after_is(dcf_tb_stream stream, int milliseconds, int seconds)
{
    int32_t fd;
    int value = -1;
    socklen_t size = sizeof value;
    OK(dcf_tb_stream_fd(stream, &fd));
    CHECK(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &size) == 0);
    CHECK(value == milliseconds);
    CHECK(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &size) == 0);
    CHECK(value == seconds);
}

static void stream_dead_after(void)
{
    TOPIC("stream_dead_after_ms: new streams of both directions get the new value, and open ones keep theirs");
    dcf_tb_transport t = start_on_loopback();
    int system = 0, probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof system;
    CHECK(getsockopt(probe, IPPROTO_TCP, TCP_KEEPIDLE, &system, &size) == 0);
    close(probe);
    const int times[] = {10000, 4000, 0, 6000, 10000};
    stream_pair pairs[5];
    for (int i = 0; i < 5; i++) {
        set_option(t, DCF_TB_OPTION_STREAM_DEAD_AFTER_MS, (uint64_t)times[i]);
        pairs[i] = connect_streams(t, t);
    }
    for (int i = 0; i < 5; i++) {
        const int seconds = times[i] == 0 ? system : times[i] / 2000;
        dead_after_is(pairs[i].near_end, times[i], seconds);
        dead_after_is(pairs[i].far_end, times[i], seconds);
    }
    OK(dcf_tb_close(t));

    TOPIC("a peer that does not read for longer than that is not dead, also with a changed value");
    t = start_on_loopback();
    set_option(t, DCF_TB_OPTION_STREAM_DEAD_AFTER_MS, 300);
    stream_pair pair = connect_streams(t, t);
    static uint8_t block[1 << 20];
    size_t count;
    dcf_tb_status status;
    do
        status = dcf_tb_stream_write(pair.near_end, block, sizeof block, 300, &count);
    while (status == DCF_TB_OK || count > 0);
    CHECK(status == DCF_TB_ERR_TIMEOUT);
    dcf_tb_stream_stats stats;
    stats.struct_size = sizeof stats;
    do {
        pause_briefly();
        OK(dcf_tb_stream_get_stats(pair.near_end, &stats));
        CHECK(stats.connected == 1);
    } while (stats.stalled_ns < 4000000000u);
    OK(dcf_tb_close(t));
}

static dcf_tb_transport busy;
static int ended;

static void *traffic(void *unused)
{
    const peers_of own = peer_strings(busy);
    dcf_tb_rtt summary;
    summary.struct_size = sizeof summary;
    for (int i = 0; i < 200; i++) {
        char text[8];
        send_text(busy, own.control, "message");
        OK(dcf_tb_ping(busy, own.control, 1, 0, GENEROUS_MS, &summary));
        expect_text(busy, "message");
        dcf_tb_stream near_end, far_end;
        OK(dcf_tb_open_stream(busy, own.data, GENEROUS_MS, &near_end));
        OK(dcf_tb_accept(busy, GENEROUS_MS, &far_end));
        write_all(near_end, "stream", 6);
        OK(dcf_tb_stream_close(near_end));
        read_exactly(far_end, text, 1);
        OK(dcf_tb_stream_close(far_end));
    }
    return unused;
}

static void *change(void *seed)
{
    for (uint32_t i = 0; value(&ended) == 0; i++) {
        OK(dcf_tb_set_option(busy, DCF_TB_OPTION_LOG_LEVEL, 1 + i % 4));
        OK(dcf_tb_set_option(busy, DCF_TB_OPTION_BUSY_POLL_US, i % 3 * 50));
        OK(dcf_tb_set_option(busy, DCF_TB_OPTION_RECEIVE_QUEUE, 100 + i % 2));
        OK(dcf_tb_set_option(busy, DCF_TB_OPTION_RECEIVE_QUEUE_BYTES, 1000000 + i % 2));
        OK(dcf_tb_set_option(busy, DCF_TB_OPTION_MAX_STREAMS, 100 + i % 2));
        OK(dcf_tb_set_option(busy, DCF_TB_OPTION_MAX_SILENT_STREAMS, i % 2 * 100));
        OK(dcf_tb_set_option(busy, DCF_TB_OPTION_SILENT_AFTER_MS, 100000 + i % 2));
        OK(dcf_tb_set_option(busy, DCF_TB_OPTION_CONNECT_TIMEOUT_MS, 100000 + i % 2));
        OK(dcf_tb_set_option(busy, DCF_TB_OPTION_ALLOW_ANY_SOURCE, i % 2));
        OK(dcf_tb_set_option(busy, DCF_TB_OPTION_STREAM_DEAD_AFTER_MS, i % 2 * 100000));
        pause_briefly();
    }
    return seed;
}

static void while_others_send(void)
{
    TOPIC("two threads change all options while another sends, pings and opens streams");
    dcf_tb_config config = loopback_config();
    config.on_log = on_log;
    busy = start(&config);
    pthread_t changers[2] = {start_thread(change, NULL), start_thread(change, NULL)};
    traffic(NULL);
    set(&ended, 1);
    join(changers[0]);
    join(changers[1]);
    CHECK(stats_of(busy).messages_dropped == 0 && stats_of(busy).rejected == 0);
    OK(dcf_tb_close(busy));
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_set_option(busy, DCF_TB_OPTION_MAX_STREAMS, 1));
}

static void busy_poll(void)
{
    TOPIC("busy_poll_us: 0, then a high value, then 0 again");
    dcf_tb_transport t = start_on_loopback();
    const uint64_t times[] = {0, 1000000, 0, 50};
    dcf_tb_rtt summary;
    summary.struct_size = sizeof summary;
    for (int i = 0; i < 4; i++) {
        set_option(t, DCF_TB_OPTION_BUSY_POLL_US, times[i]);
        OK(dcf_tb_ping(t, "::1%lo", 20, 0, GENEROUS_MS, &summary));
        CHECK(summary.received == 20);
        send_and_wait(t, "still here");
        expect_text(t, "still here");
    }
    OK(dcf_tb_close(t));
}

/* A callback that changes an option of its own transport. */
static dcf_tb_transport called;
static int changed;

static void on_message(const uint8_t *data, size_t length, const char *sender, void *unused)
{
    (void)data, (void)sender, (void)unused;
    OK(dcf_tb_set_option(called, DCF_TB_OPTION_BUSY_POLL_US, length));
    OK(dcf_tb_set_option(called, DCF_TB_OPTION_MAX_SILENT_STREAMS, length));
    set(&changed, 1);
}

int main(void)
{
    values();
    log_level();
    max_streams();
    receive_queue();
    silent_streams();
    connect_timeout();
    stream_dead_after();
    busy_poll();
    while_others_send();

    TOPIC("from inside a callback");
    called = start_on_loopback();
    OK(dcf_tb_set_message_callback(called, on_message, NULL));
    send_text(called, "::1%lo", "seven b");
    EVENTUALLY(value(&changed) == 1);
    CHECK(option(called, DCF_TB_OPTION_BUSY_POLL_US) == 7);
    OK(dcf_tb_close(called));
    return 0;
}
