/* Refusals: each limit refuses, counts under its own reason, and logs at a bounded rate. */
#include "raw.h"

static int refusals_logged;

static void on_log(int32_t level, const char *message, void *data)
{
    (void)data;
    if (level == DCF_TB_LOG_WARN && strstr(message, "refused a stream") != NULL)
        add(&refusals_logged, 1);
}

static int raw_connect(dcf_tb_transport t)
{
    struct sockaddr_in6 to = raw_address("::1", data_port(t));
    int fd = raw_socket(SOCK_STREAM, "::1", 0);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

/* Whether the other end reset the connection. Waits until it has reset or accepted it. */
static int was_reset(int fd)
{
    char byte;
    ssize_t count = recv(fd, &byte, 1, 0);
    CHECK(count <= 0);
    return count < 0 && errno == ECONNRESET;
}

static void sum(dcf_tb_transport t)
{
    dcf_tb_stats s = stats_of(t);
    CHECK(s.rejected == s.rejected_source + s.rejected_max_streams + s.rejected_silent +
                            s.rejected_resources + s.rejected_malformed);
}

static void silent_streams(void)
{
    TOPIC("silent connections are bounded, and a new one is refused");
    dcf_tb_config config = loopback_config();
    config.max_silent_streams = 3;
    config.silent_after_ms = 3600 * 1000;
    dcf_tb_transport t = start(&config);
    dcf_tb_stream accepted[4];
    int silent[3];
    for (int i = 0; i < 3; i++) {
        silent[i] = raw_connect(t);
        OK(dcf_tb_accept(t, GENEROUS_MS, &accepted[i]));
    }
    int refused = raw_connect(t);
    CHECK(was_reset(refused));
    close(refused);
    CHECK(stats_of(t).rejected_silent == 1 && stats_of(t).rejected_max_streams == 0);
    sum(t);

    TOPIC("data of either side makes room");
    CHECK(send(silent[0], "x", 1, 0) == 1);
    write_all(accepted[1], "y", 1);
    uint8_t byte;
    read_exactly(accepted[0], &byte, 1);
    /* New connections are refused for a moment more, because the library does not check all streams for each. */
    int newcomer = -1;
    dcf_tb_status status = DCF_TB_WOULD_BLOCK;
    EVENTUALLY((newcomer = raw_connect(t),
                status = dcf_tb_accept(t, 200, &accepted[3]),
                status == DCF_TB_OK || (CHECK(was_reset(newcomer)), close(newcomer), 0)));
    CHECK(recv(silent[1], &byte, 1, 0) == 1 && byte == 'y');
    close(newcomer);
    for (int i = 0; i < 3; i++)
        close(silent[i]);
    sum(t);
    OK(dcf_tb_close(t));

    TOPIC("the oldest is reset once it has been silent for silent_after_ms");
    config.silent_after_ms = 0;
    t = start(&config);
    for (int i = 0; i < 3; i++) {
        silent[i] = raw_connect(t);
        OK(dcf_tb_accept(t, GENEROUS_MS, &accepted[i]));
    }
    newcomer = raw_connect(t);
    OK(dcf_tb_accept(t, GENEROUS_MS, &accepted[3]));
    size_t count = 0;
    GIVES(DCF_TB_ERR_CONNECTION_ABORTED,
          dcf_tb_stream_read(accepted[0], &byte, 1, GENEROUS_MS, &count));
    CHECK(error_says("max_silent_streams"));
    CHECK(was_reset(silent[0]));
    CHECK(stats_of(t).rejected_silent == 1 && stats_of(t).streams_open == 3);
    CHECK(send(newcomer, "z", 1, 0) == 1);
    read_exactly(accepted[3], &byte, 1);
    for (int i = 0; i < 3; i++)
        close(silent[i]);
    close(newcomer);
    OK(dcf_tb_close(t));

    TOPIC("0 sets no limit");
    config.max_silent_streams = 0;
    t = start(&config);
    int many[100];
    for (int i = 0; i < 100; i++)
        many[i] = raw_connect(t);
    EVENTUALLY(stats_of(t).streams_open == 100);
    CHECK(stats_of(t).rejected == 0);
    for (int i = 0; i < 100; i++)
        close(many[i]);
    OK(dcf_tb_close(t));
}

static void all_streams(void)
{
    TOPIC("max_streams has its own reason, and a flood of refusals does not flood the log");
    dcf_tb_config config = loopback_config();
    config.max_streams = 2;
    config.on_log = on_log;
    dcf_tb_transport t = start(&config);
    int held[2] = {raw_connect(t), raw_connect(t)};
    EVENTUALLY(stats_of(t).streams_open == 2);
    uint64_t began = milliseconds();
    for (int i = 0; i < 300; i++) {
        int fd = raw_connect(t);
        CHECK(was_reset(fd));
        close(fd);
    }
    int seconds = (int)((milliseconds() - began) / 1000);
    CHECK(stats_of(t).rejected_max_streams == 300 && stats_of(t).rejected_silent == 0);
    CHECK(value(&refusals_logged) >= 1 && value(&refusals_logged) <= seconds + 2);
    sum(t);
    close(held[0]);
    close(held[1]);
    OK(dcf_tb_close(t));
}

static void queue(void)
{
    TOPIC("the queue of messages is bounded by number and by bytes");
    dcf_tb_config config = loopback_config();
    config.receive_queue = 3;
    config.receive_queue_bytes = 1000;
    dcf_tb_transport t = start(&config);
    const peers_of self = peer_strings(t);
    static uint8_t data[600], buffer[1000];
    size_t length = 0;
    OK(dcf_tb_send(t, self.control, data, 600));
    OK(dcf_tb_send(t, self.control, data, 401)); /* one byte too many */
    OK(dcf_tb_send(t, self.control, data, 400));
    OK(dcf_tb_send(t, self.control, data, 0));
    OK(dcf_tb_send(t, self.control, data, 0)); /* the fourth message */
    EVENTUALLY(stats_of(t).messages_received == 5 && stats_of(t).messages_dropped == 2);
    CHECK(stats_of(t).dropped_memory == 1);
    const size_t kept[] = {600, 400, 0};
    for (int i = 0; i < 3; i++) {
        OK(dcf_tb_recv(t, buffer, sizeof buffer, &length, NULL, 0, GENEROUS_MS));
        CHECK(length == kept[i]);
    }
    TOPIC("the queue has room again after the messages were received");
    OK(dcf_tb_send(t, self.control, data, 600));
    OK(dcf_tb_recv(t, buffer, sizeof buffer, &length, NULL, 0, GENEROUS_MS));
    CHECK(length == 600 && stats_of(t).messages_dropped == 2);
    OK(dcf_tb_close(t));
}

static void pongs(void)
{
    TOPIC("unexpected pongs are counted, and not delivered as messages");
    dcf_tb_transport t = start_on_loopback();
    int raw = raw_socket(SOCK_DGRAM, "::1", 0);
    uint8_t pong[16], buffer[64];
    size_t length = 0;
    memcpy(pong, PONG, 8);
    for (uint32_t i = 0; i < 50; i++) {
        fill(pong + 8, 8, i);
        raw_send(raw, pong, sizeof pong, raw_address("::1", control_port(t)));
    }
    EVENTUALLY(stats_of(t).pongs_ignored == 50);
    CHECK(stats_of(t).pongs_received == 0 && stats_of(t).messages_received == 0);
    CHECK(stats_of(t).rejected == 0);
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_recv(t, buffer, sizeof buffer, &length, NULL, 0, 0));
    OK(dcf_tb_reset_stats(t));
    CHECK(stats_of(t).pongs_ignored == 0);
    close(raw);
    OK(dcf_tb_close(t));
}

int main(void)
{
    silent_streams();
    all_streams();
    queue();
    pongs();
    return 0;
}
