/* Closing: every waiting call wakes, every new call is refused, and callbacks finish first. */
#include "process.h"
#include "raw.h"

static dcf_tb_transport t;
static dcf_tb_stream stream;  /* its peer neither reads nor writes */
static dcf_tb_stream full;    /* its send buffer is full */
static char mute[80];         /* a peer that does not answer */

/* One kind of waiting call. */
typedef struct waiting {
    const char *name;
    dcf_tb_status (*call)(void);
    int thread;
    dcf_tb_status status;
} waiting;

static dcf_tb_status in_recv(void)
{
    uint8_t byte;
    size_t length;
    return dcf_tb_recv(t, &byte, 1, &length, NULL, 0, DCF_TB_WAIT_FOREVER);
}

static dcf_tb_status in_recv_batch(void)
{
    dcf_tb_received received;
    uint8_t byte;
    size_t count;
    return dcf_tb_recv_batch(t, &byte, 1, &received, 1, &count, DCF_TB_WAIT_FOREVER);
}

static dcf_tb_status in_accept(void)
{
    dcf_tb_stream accepted;
    return dcf_tb_accept(t, DCF_TB_WAIT_FOREVER, &accepted);
}

static dcf_tb_status in_measure_rtt(void)
{
    uint64_t rtt;
    return dcf_tb_measure_rtt(t, mute, DCF_TB_WAIT_FOREVER, &rtt);
}

static dcf_tb_status in_ping(void)
{
    dcf_tb_rtt summary;
    summary.struct_size = sizeof summary;
    return dcf_tb_ping(t, mute, 5, 0, DCF_TB_WAIT_FOREVER, &summary);
}

static dcf_tb_status between_pings(void)
{
    dcf_tb_rtt summary;
    summary.struct_size = sizeof summary;
    return dcf_tb_ping(t, "::1%lo", UINT32_MAX, UINT32_MAX, DCF_TB_WAIT_FOREVER, &summary);
}

static dcf_tb_status in_discover(void)
{
    dcf_tb_peer found;
    size_t count;
    return dcf_tb_discover(t, DCF_TB_WAIT_FOREVER, &found, 1, &count);
}

static dcf_tb_status in_discover_first(void)
{
    dcf_tb_peer found;
    size_t count;
    return dcf_tb_discover_first(t, DCF_TB_WAIT_FOREVER, &found, 1, &count);
}

static dcf_tb_status in_wait_link(void)
{
    return dcf_tb_wait_link(t, 0, DCF_TB_WAIT_FOREVER);
}

static dcf_tb_status in_read(void)
{
    uint8_t byte;
    size_t count;
    return dcf_tb_stream_read(stream, &byte, 1, DCF_TB_WAIT_FOREVER, &count);
}

static dcf_tb_status in_read_exact(void)
{
    uint8_t bytes[2];
    size_t count;
    return dcf_tb_stream_read_exact(stream, bytes, 2, DCF_TB_WAIT_FOREVER, &count);
}

static dcf_tb_status in_writev(void)
{
    static uint8_t data[1 << 20];
    const dcf_tb_slice slices[] = {{data, 1}, {data, sizeof data}};
    size_t count;
    return dcf_tb_stream_writev(full, slices, 2, DCF_TB_WAIT_FOREVER, &count);
}

static dcf_tb_status in_write(void)
{
    static uint8_t data[1 << 20];
    size_t count;
    return dcf_tb_stream_write(full, data, sizeof data, DCF_TB_WAIT_FOREVER, &count);
}

static dcf_tb_status in_send_file(void)
{
    uint64_t sent;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    dcf_tb_status status = dcf_tb_stream_send_file(full, fd, 0, 4096, DCF_TB_WAIT_FOREVER, &sent);
    close(fd);
    return status;
}

static dcf_tb_status in_receive_file(void)
{
    uint64_t received;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dcf_tb_status status =
        dcf_tb_stream_receive_file(full, fd, 0, 4096, DCF_TB_WAIT_FOREVER, &received);
    close(fd);
    return status;
}

static void *wait_in_call(void *argument)
{
    waiting *w = (waiting *)argument;
    set(&w->thread, gettid());
    w->status = w->call();
    return NULL;
}

/* Starts all calls, closes, and checks that all of them wake. */
static void wakes(waiting *calls, size_t count, dcf_tb_status (*end)(void))
{
    pthread_t threads[16];
    for (size_t i = 0; i < count; i++) {
        calls[i].thread = 0;
        threads[i] = start_thread(wait_in_call, &calls[i]);
    }
    for (size_t i = 0; i < count; i++)
        EVENTUALLY(asleep(value(&calls[i].thread)));
    OK(end());
    for (size_t i = 0; i < count; i++) {
        join(threads[i]);
        printf("  %s: %s\n", calls[i].name, dcf_tb_status_string(calls[i].status));
        CHECK(calls[i].status == DCF_TB_CANCELLED);
    }
}

static dcf_tb_status close_transport(void)
{
    return dcf_tb_close(t);
}

static dcf_tb_status close_streams(void)
{
    OK(dcf_tb_stream_close(stream));
    return dcf_tb_stream_close(full);
}

static dcf_tb_status detach_streams(void)
{
    int32_t fd = -1;
    OK(dcf_tb_stream_detach(stream, &fd));
    close(fd);
    OK(dcf_tb_stream_detach(full, &fd));
    return close(fd) == 0 ? DCF_TB_OK : DCF_TB_ERR_IO;
}

static void fill_stream(void)
{
    static uint8_t data[1 << 20];
    size_t count;
    dcf_tb_status status;
    /* Write with a timeout: data that the kernel is still delivering makes room again. */
    do
        status = dcf_tb_stream_write(full, data, sizeof data, 300, &count);
    while (status == DCF_TB_OK || count > 0);
    CHECK(status == DCF_TB_ERR_TIMEOUT);
}

static void all_calls(void)
{
    waiting on_transport[] = {
        {"recv", in_recv, 0, 0},           {"accept", in_accept, 0, 0},
        {"measure_rtt", in_measure_rtt, 0, 0}, {"ping", in_ping, 0, 0},
        {"ping, between two", between_pings, 0, 0}, {"discover", in_discover, 0, 0},
        {"read", in_read, 0, 0},           {"write", in_write, 0, 0},
        {"receive_file", in_receive_file, 0, 0}, {"recv_batch", in_recv_batch, 0, 0},
        {"read_exact", in_read_exact, 0, 0}, {"writev", in_writev, 0, 0},
        {"discover_first", in_discover_first, 0, 0}, {"wait_link", in_wait_link, 0, 0},
    };
    waiting on_streams[] = {
        {"read", in_read, 0, 0},           {"read_exact", in_read_exact, 0, 0},
        {"writev", in_writev, 0, 0},
        {"send_file", in_send_file, 0, 0},
        {"receive_file", in_receive_file, 0, 0},
    };
    dcf_tb_status (*const ends[])(void) = {close_streams, detach_streams, close_transport};
    const char *const names[] = {"a closed stream", "a detached stream", "a closed transport"};
    for (int i = 0; i < 3; i++) {
        printf("- %s wakes every waiting call\n", names[i]);
        dcf_tb_transport peer = start_on_loopback();
        t = start_on_loopback();
        stream = connect_streams(t, peer).near_end;
        full = connect_streams(t, peer).near_end;
        fill_stream();
        if (i == 2)
            wakes(on_transport, sizeof on_transport / sizeof on_transport[0], ends[i]);
        else
            wakes(on_streams, sizeof on_streams / sizeof on_streams[0], ends[i]);
        if (i < 2)
            OK(dcf_tb_close(t));
        OK(dcf_tb_close(peer));
    }
}

/* A callback that blocks until it is released. */
static int inside, let_go, closed, closers_left, closers_refused, closing_thread;

static void stay(const uint8_t *message, size_t length, const char *sender, void *data)
{
    uint8_t running;
    (void)message, (void)length, (void)sender, (void)data;
    set(&inside, 1);
    EVENTUALLY(value(&let_go));
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_is_running(t, &running));
    CHECK(value(&closed) == 0);
    set(&inside, 2);
}

static void on_closed(void *data)
{
    (void)data;
    CHECK(value(&inside) == 2);
    add(&closed, 1);
}

static void *close_too(void *unused)
{
    set(&closing_thread, gettid());
    dcf_tb_status status = dcf_tb_close(t);
    if (status == DCF_TB_ERR_INVALID_HANDLE)
        add(&closers_refused, 1);
    else
        CHECK(status == DCF_TB_OK && value(&closed) == 1);
    add(&closers_left, 1);
    return unused;
}

static void callbacks_finish_first(void)
{
    TOPIC("close waits for a running callback, and refuses new calls meanwhile");
    dcf_tb_config config = loopback_config();
    config.on_message = stay;
    config.on_closed = on_closed;
    t = start(&config);
    send_text(t, "::1%lo", "in");
    EVENTUALLY(value(&inside) == 1);
    pthread_t threads[4];
    threads[0] = start_thread(close_too, NULL);
    EVENTUALLY(asleep(value(&closing_thread)));
    uint8_t running;
    EVENTUALLY(dcf_tb_is_running(t, &running) == DCF_TB_ERR_INVALID_HANDLE);
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_send(t, "::1%lo", NULL, 0));

    TOPIC("of many threads that close, one succeeds");
    for (int i = 1; i < 4; i++)
        threads[i] = start_thread(close_too, NULL);
    EVENTUALLY(value(&closers_refused) == 3);
    CHECK(value(&closers_left) == 3 && value(&closed) == 0);
    set(&let_go, 1);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    CHECK(value(&closed) == 1);
}

int main(void)
{
    int raw = raw_socket(SOCK_DGRAM, "::1", 0);
    snprintf(mute, sizeof mute, "[::1%%lo]:%u", raw_port(raw));
    all_calls();
    callbacks_finish_first();
    close(raw);
    return 0;
}
