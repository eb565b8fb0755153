/* Threads that cannot be started: init fails and leaks nothing, and streams are reset. */
#include "process.h"

#include <dlfcn.h>

/* Threads that can still be started; negative: no limit. */
static int threads_left = -1;

/* The pthread_create of the executable replaces that of the C library, for the library too. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
                   void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    void *symbol = dlsym(RTLD_NEXT, "pthread_create");
    int left = value(&threads_left);
    memcpy(&real, &symbol, sizeof real);
    if (left == 0)
        return EAGAIN;
    if (left > 0)
        set(&threads_left, left - 1);
    return real(thread, attributes, function, argument);
}

static int records, closed, streams;

static void on_log(int32_t level, const char *message, void *unused)
{
    (void)unused;
    if (level == DCF_TB_LOG_ERROR && strstr(message, "dcf-tb-stream") != NULL)
        add(&records, 1);
}

static void on_closed(void *unused)
{
    (void)unused;
    add(&closed, 1);
}

static void on_stream(dcf_tb_stream stream, const char *peer, void *unused)
{
    (void)peer, (void)unused;
    OK(dcf_tb_stream_close(stream));
    add(&streams, 1);
}

static void init(void)
{
    TOPIC("init fails if either of its two threads cannot start, and leaks nothing");
    static const char *const names[] = {"dcf-tb-recv", "dcf-tb-accept"};
    dcf_tb_config config = loopback_config();
    dcf_tb_transport t = start_on_own_ports(&config);
    OK(dcf_tb_close(t));
    config.on_closed = on_closed;
    int descriptors = count_descriptors(), threads = count_threads();
    for (int allowed = 0; allowed < 2; allowed++) {
        t = 77;
        set(&threads_left, allowed);
        GIVES(DCF_TB_ERR_THREAD, dcf_tb_init(&config, &t));
        set(&threads_left, -1);
        CHECK(t == 77 && dcf_tb_last_errno() == EAGAIN && error_says(names[allowed]));
        CHECK(count_descriptors() == descriptors);
        EVENTUALLY(count_threads() == threads); /* a joined thread is listed for a moment */
        CHECK(value(&closed) == 0);
        OK(dcf_tb_init(&config, &t)); /* the ports are free */
        OK(dcf_tb_close(t));
        CHECK(value(&closed) == 1);
        set(&closed, 0);
    }
}

static void stream_callbacks(void)
{
    TOPIC("a stream whose callback has no thread is reset, counted, and logged once a second");
    enum { REFUSED = 200 };
    dcf_tb_config config = loopback_config();
    config.on_log = on_log;
    config.on_stream = on_stream;
    dcf_tb_transport t = start(&config), other = start_on_loopback();
    const peers_of to = peer_strings(t);
    uint64_t begin = milliseconds();
    set(&threads_left, 0);
    for (int i = 0; i < REFUSED; i++) {
        dcf_tb_stream stream = 0;
        uint8_t byte;
        size_t count;
        dcf_tb_status status = dcf_tb_open_stream(other, to.data, GENEROUS_MS, &stream);
        if (status == DCF_TB_OK) {
            status = dcf_tb_stream_read(stream, &byte, 1, GENEROUS_MS, &count);
            OK(dcf_tb_stream_close(stream));
        }
        CHECK(status == DCF_TB_ERR_CONNECTION_RESET);
        EVENTUALLY(stats_of(t).errors == (uint64_t)i + 1);
        CHECK(stats_of(t).streams_open == 0);
    }
    int seconds = (int)((milliseconds() - begin) / 1000);
    CHECK(value(&records) >= 1 && value(&records) <= seconds + 2);
    CHECK(value(&streams) == 0);
    send_text(other, to.control, "messages go on");
    expect_text(t, "messages go on");

    TOPIC("with threads again streams are handled again");
    set(&threads_left, -1);
    dcf_tb_stream stream = 0;
    OK(dcf_tb_open_stream(other, to.data, GENEROUS_MS, &stream));
    EVENTUALLY(value(&streams) == 1);
    OK(dcf_tb_close(t));
    OK(dcf_tb_close(other));
}

int main(void)
{
    CHECK(close_range(3, ~0u, 0) == 0); /* inherited descriptors */
    init();
    stream_callbacks();
    return 0;
}
