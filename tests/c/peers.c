/* Peers that misbehave or fail, on one host: the transport works on, and leaks nothing. */
#include "process.h"
#include "raw.h"

#include <sys/resource.h>

static void on_stream(dcf_tb_stream stream, const char *peer, void *data)
{
    uint8_t buffer[4096];
    size_t count = 0, written = 0;
    (void)peer, (void)data;
    while (dcf_tb_stream_read(stream, buffer, sizeof buffer, DCF_TB_WAIT_FOREVER, &count) ==
               DCF_TB_OK &&
           dcf_tb_stream_write(stream, buffer, count, DCF_TB_WAIT_FOREVER, &written) == DCF_TB_OK) {
    }
    (void)dcf_tb_stream_close(stream);
}

static int raw_connect(dcf_tb_transport t)
{
    struct sockaddr_in6 to = raw_address("::1", data_port(t));
    int fd = raw_socket(SOCK_STREAM, "::1", 0);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

static void reset_and_close(int fd)
{
    struct linger now = {1, 0};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    close(fd);
}

/* Checks messages, round trips and streams from another transport. */
static void works(dcf_tb_transport t)
{
    dcf_tb_transport other = start_on_loopback();
    const peers_of to = peer_strings(t);
    dcf_tb_stream stream = 0;
    uint64_t rtt = 0;
    char text[5];
    OK(dcf_tb_measure_rtt(other, to.control, GENEROUS_MS, &rtt));
    send_text(other, to.control, "still");
    expect_text(t, "still");
    OK(dcf_tb_open_stream(other, to.data, GENEROUS_MS, &stream));
    write_all(stream, "alive", 5);
    read_exactly(stream, text, 5);
    CHECK(memcmp(text, "alive", 5) == 0);
    OK(dcf_tb_close(other));
}

static void connects_and_disconnects(dcf_tb_transport t)
{
    TOPIC("3,000 connects and disconnects, a third by reset, a third with a byte, in two threads");
    works(t);
    EVENTUALLY(stats_of(t).streams_open == 0);
    int descriptors = count_descriptors(), threads = count_threads();
    for (int i = 0; i < 3000; i++) {
        int fd = raw_connect(t);
        if (i % 3 == 0)
            CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == 1);
        if (i % 3 == 1)
            reset_and_close(fd);
        else
            close(fd);
    }
    EVENTUALLY(stats_of(t).streams_open == 0);
    EVENTUALLY(count_descriptors() <= descriptors && count_threads() <= threads);
    works(t);
}

enum { IDLE = 1000 };

static void idle_connections(dcf_tb_transport t)
{
    TOPIC("1,000 idle connections delay no other peer, and end with their peers");
    static int idle[IDLE];
    EVENTUALLY(stats_of(t).streams_open == 0);
    int descriptors = count_descriptors();
    for (int i = 0; i < IDLE; i++)
        idle[i] = raw_connect(t);
    EVENTUALLY(stats_of(t).streams_open == IDLE);
    CHECK(stats_of(t).rejected == 0);
    CHECK(send(idle[7], "x", 1, 0) == 1); /* one sends data, so it is no longer silent and makes room for another */
    char byte = 0;
    CHECK(recv(idle[7], &byte, 1, 0) == 1 && byte == 'x');
    works(t);
    for (int i = 0; i < IDLE; i++)
        close(idle[i]);
    EVENTUALLY(stats_of(t).streams_open == 0);
    EVENTUALLY(count_descriptors() <= descriptors);
}

static void stalled_reader(void)
{
    TOPIC("a peer that does not read for longer than stream_dead_after_ms is not dead");
    dcf_tb_config config = loopback_config();
    config.stream_dead_after_ms = 500;
    dcf_tb_transport a = start(&config), b = start_on_loopback();
    stream_pair pair = connect_streams(a, b);
    enum { SIZE = 16 << 20 };
    uint8_t *data = (uint8_t *)malloc(SIZE), *back = (uint8_t *)malloc(SIZE);
    size_t count = 0, total = 0;
    CHECK(data != NULL && back != NULL);
    fill(data, SIZE, 1);
    /* Write what the kernels take, then wait for 2 seconds in which only windows are probed. */
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_stream_write(pair.near_end, data, SIZE, 2000, &count));
    CHECK(count > 0 && count < SIZE);
    total = count;
    /* The same without a call in progress. Together this is eight times stream_dead_after_ms. */
    struct timespec pause = {2, 0};
    nanosleep(&pause, NULL);
    OK(dcf_tb_stream_write(pair.near_end, NULL, 0, 0, &count));
    for (size_t got = 0; got < total; got += count)
        OK(dcf_tb_stream_read(pair.far_end, back + got, total - got, GENEROUS_MS, &count));
    CHECK(memcmp(data, back, total) == 0);
    write_all(pair.near_end, "end", 3);
    read_exactly(pair.far_end, back, 3);
    CHECK(memcmp(back, "end", 3) == 0);
    free(data);
    free(back);
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
}

static void stalled_writer(dcf_tb_transport t)
{
    TOPIC("a peer that writes nothing, then a byte now and then: each byte arrives when it is sent");
    dcf_tb_stream stream = 0;
    uint8_t byte = 0;
    size_t count = 0;
    OK(dcf_tb_set_stream_callback(t, NULL, NULL));
    int fd = raw_connect(t);
    OK(dcf_tb_accept(t, GENEROUS_MS, &stream));
    for (int i = 0; i < 5; i++) {
        GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_stream_read(stream, &byte, 1, 50, &count));
        CHECK(send(fd, "abcde" + i, 1, 0) == 1);
        read_exactly(stream, &byte, 1);
        CHECK(byte == "abcde"[i]);
    }
    TOPIC("a reset is reported as a reset, without data");
    reset_and_close(fd);
    GIVES(DCF_TB_ERR_CONNECTION_RESET, dcf_tb_stream_read(stream, &byte, 1, GENEROUS_MS, &count));
    OK(dcf_tb_stream_close(stream));
    OK(dcf_tb_set_stream_callback(t, on_stream, NULL));
}

static int stop_flood;
static uint16_t flooded;

/* Sends datagrams of every size and kind as fast as possible, up to a number. */
static void *flood(void *unused)
{
    static uint8_t data[65507];
    int fd = raw_socket(SOCK_DGRAM, "::1", 0);
    struct sockaddr_in6 to = raw_address("::1", flooded);
    fill(data, sizeof data, 5);
    for (uint32_t i = 0; i < 2000000 && !value(&stop_flood); i++) {
        size_t length = i % 64 == 0 ? sizeof data : (i * 7919) % 1500;
        if (i % 3 == 1) /* pings, pongs, and almost valid ones */
            memcpy(data, i % 2 == 0 ? PING : PONG, 8), length = 14 + i % 4;
        (void)sendto(fd, data, length, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to);
    }
    close(fd);
    return unused;
}

static void floods(dcf_tb_transport t)
{
    TOPIC("a flood of datagrams: pings are answered, memory stays bounded");
    dcf_tb_transport other = start_on_loopback();
    const peers_of to = peer_strings(t);
    flooded = control_port(t);
    uint64_t before = resident_kib(), rtt = 0;
    pthread_t thread = start_thread(flood, NULL);
    /* No call receives messages, so the queue fills up. */
    EVENTUALLY(stats_of(t).messages_dropped > 10000);
    int answered = 0;
    for (int i = 0; i < 50; i++)
        answered += dcf_tb_measure_rtt(other, to.control, 1000, &rtt) == DCF_TB_OK;
    set(&stop_flood, 1);
    join(thread);
    printf("  %d of 50 round trips, %" PRIu64 " KiB more than before\n", answered,
           resident_kib() - before);
    /* The kernel's buffer may be full when a ping comes, but most pings get through. */
    CHECK(answered >= 5);
    CHECK(resident_kib() < before + 128 * 1024);
    uint8_t *buffer = (uint8_t *)malloc(65507);
    size_t length = 0;
    dcf_tb_status status;
    CHECK(buffer != NULL);
    do
        status = dcf_tb_recv(t, buffer, 65507, &length, NULL, 0, 100);
    while (status == DCF_TB_OK);
    CHECK(status == DCF_TB_ERR_TIMEOUT);
    free(buffer);
    OK(dcf_tb_close(other));
    works(t);
}

/* Answers each ping with a thousand wrong pongs from the pinged port. */
static void *answer_wrongly(void *socket)
{
    int fd = *(int *)socket;
    uint8_t ping[64];
    struct sockaddr_in6 from;
    socklen_t length = sizeof from;
    while (recvfrom(fd, ping, sizeof ping, 0, (struct sockaddr *)&from, &length) == 16) {
        memcpy(ping, PONG, 8);
        ping[15]++;
        for (int i = 0; i < 100000 && !value(&stop_flood); i++)
            (void)sendto(fd, ping, 16, MSG_DONTWAIT, (struct sockaddr *)&from, sizeof from);
        length = sizeof from;
    }
    return NULL;
}

static void wrong_answers(dcf_tb_transport t)
{
    TOPIC("a peer that floods with wrong pongs: the round trip times out as configured");
    int fd = raw_socket(SOCK_DGRAM, "::1", 0);
    char peer[64];
    uint64_t rtt = 77, start_time = milliseconds();
    snprintf(peer, sizeof peer, "[::1%%lo]:%u", raw_port(fd));
    set(&stop_flood, 0);
    pthread_t thread = start_thread(answer_wrongly, &fd);
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_measure_rtt(t, peer, 100, &rtt));
    CHECK(rtt == 77 && milliseconds() - start_time >= 99);
    EVENTUALLY(stats_of(t).pongs_ignored > 0);
    set(&stop_flood, 1);
    raw_send(fd, "end", 3, raw_address("::1", raw_port(fd)));
    join(thread);
    close(fd);
}

int main(void)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(limit.rlim_max >= 2 * IDLE + 100); /* ulimit -n */
    dcf_tb_transport t = start_on_loopback();
    OK(dcf_tb_set_stream_callback(t, on_stream, NULL));
    connects_and_disconnects(t);
    idle_connections(t);
    stalled_writer(t);
    stalled_reader();
    floods(t);
    wrong_answers(t);
    OK(dcf_tb_close(t));
    EVENTUALLY(each_library_thread(NULL, NULL) == 0);
    return 0;
}
