/*
  * The cable of a running transport is pulled and plugged in. The test that started this program
  * does that when asked. Argument: the other host's address.
 */
#include "process.h"

static const char *peer;

typedef struct link_state {
    int up, down;
} link_state;

static void on_link(int32_t up, const char *name, void *data)
{
    link_state *state = (link_state *)data;
    CHECK(strcmp(name, "thunderbolt0") == 0);
    CHECK(up == 0 || up == 1);
    add(up ? &state->up : &state->down, 1);
}

static dcf_tb_transport start_watching(link_state *state, uint8_t wait)
{
    dcf_tb_config config;
    OK(dcf_tb_config_init(&config, sizeof config));
    config.wait_for_interface = wait;
    config.on_link = on_link;
    config.user_data = state;
    memset(state, 0, sizeof *state);
    return start(&config);
}

/* Sends a message to the other host until it comes back: messages can be lost after a replug. */
static void works(dcf_tb_transport t)
{
    uint64_t start_time = milliseconds();
    for (;;) {
        uint8_t text[8];
        size_t length = 0;
        dcf_tb_status status = dcf_tb_send(t, peer, (const uint8_t *)"ping?", 5);
        CHECK(status == DCF_TB_OK || status == DCF_TB_ERR_LINK_DOWN);
        status = dcf_tb_recv(t, text, sizeof text, &length, NULL, 0, 20);
        if (status == DCF_TB_OK)
            break;
        CHECK(status == DCF_TB_ERR_TIMEOUT || status == DCF_TB_ERR_LINK_DOWN);
        CHECK(milliseconds() - start_time < GENEROUS_MS);
    }
    uint64_t rtt = 0;
    OK(dcf_tb_measure_rtt(t, peer, GENEROUS_MS, &rtt));
}

static void stream_echoes(dcf_tb_stream stream)
{
    char text[4];
    write_all(stream, "echo", 4);
    read_exactly(stream, text, 4);
    CHECK(memcmp(text, "echo", 4) == 0);
}

static void calls_say_link_down(dcf_tb_transport t)
{
    uint64_t rtt = 0;
    size_t count = 0;
    dcf_tb_stream stream = 0;
    dcf_tb_peer found;
    dcf_tb_datagram datagram = {peer, (const uint8_t *)"x", 1};
    uint8_t running = 0;
    GIVES(DCF_TB_ERR_LINK_DOWN, dcf_tb_send(t, peer, (const uint8_t *)"x", 1));
    CHECK(error_says("thunderbolt0"));
    GIVES(DCF_TB_ERR_LINK_DOWN, dcf_tb_send_batch(t, &datagram, 1, &count));
    GIVES(DCF_TB_ERR_LINK_DOWN, dcf_tb_measure_rtt(t, peer, GENEROUS_MS, &rtt));
    GIVES(DCF_TB_ERR_LINK_DOWN, dcf_tb_open_stream(t, peer, GENEROUS_MS, &stream));
    GIVES(DCF_TB_ERR_LINK_DOWN, dcf_tb_discover(t, 50, &found, 1, &count));
    GIVES(DCF_TB_ERR_LINK_DOWN, dcf_tb_discover_first(t, 50, &found, 1, &count));
    OK(dcf_tb_is_running(t, &running));
    CHECK(running == 1); /* the transport still runs while the link is down */
    CHECK(stats_of(t).link_up == 0);
}

/* An address that no host has. */
#define ABSENT_HOST "fe80::dead%thunderbolt0"

/* A call that waits while the cable is pulled. */
typedef struct waiter {
    dcf_tb_transport transport;
    dcf_tb_stream stream;
    int thread;
    dcf_tb_status status;
} waiter;

static void *wait_in_read(void *argument)
{
    waiter *w = (waiter *)argument;
    uint8_t byte;
    size_t count;
    set(&w->thread, gettid());
    w->status = dcf_tb_stream_read(w->stream, &byte, 1, DCF_TB_WAIT_FOREVER, &count);
    /* The link state changes before streams end. */
    if (w->status == DCF_TB_ERR_LINK_DOWN)
        OK(dcf_tb_wait_link(w->transport, 0, 0));
    return NULL;
}

static void *wait_for_connection(void *argument)
{
    waiter *w = (waiter *)argument;
    set(&w->thread, gettid());
    w->status = dcf_tb_open_stream(w->transport, ABSENT_HOST, DCF_TB_WAIT_FOREVER, &w->stream);
    return NULL;
}

static void *wait_for_no_link(void *argument)
{
    waiter *w = (waiter *)argument;
    set(&w->thread, gettid());
    w->status = dcf_tb_wait_link(w->transport, 0, DCF_TB_WAIT_FOREVER);
    CHECK(stats_of(w->transport).link_up == 0);
    return NULL;
}

static void *wait_for_pong(void *argument)
{
    waiter *w = (waiter *)argument;
    uint64_t rtt = 0;
    set(&w->thread, gettid());
    w->status = dcf_tb_measure_rtt(w->transport, ABSENT_HOST, DCF_TB_WAIT_FOREVER, &rtt);
    return NULL;
}

static void carrier(void)
{
    TOPIC("carrier lost: on_link(0), calls give LINK_DOWN, streams survive");
    link_state state;
    dcf_tb_transport t = start_watching(&state, 0);
    works(t);
    dcf_tb_stream stream = 0;
    OK(dcf_tb_open_stream(t, peer, GENEROUS_MS, &stream));
    stream_echoes(stream);
    uint64_t changes = stats_of(t).link_changes;
    waiter pinger = {t, 0, 0, DCF_TB_OK}, opener = {t, 0, 0, DCF_TB_OK};
    pthread_t pinging = start_thread(wait_for_pong, &pinger);
    pthread_t opening = start_thread(wait_for_connection, &opener);
    EVENTUALLY(asleep(value(&pinger.thread)));
    EVENTUALLY(asleep(value(&opener.thread)));
    request("carrier off");
    EVENTUALLY(value(&state.down) == 1 && stats_of(t).link_up == 0);
    calls_say_link_down(t);
    CHECK(stats_of(t).link_changes == changes + 1);
    join(pinging);
    printf("  measure_rtt: %s\n", dcf_tb_status_string(pinger.status));
    fflush(stdout);
    join(opening);
    printf("  open_stream: %s\n", dcf_tb_status_string(opener.status));
    CHECK(pinger.status == DCF_TB_ERR_LINK_DOWN);
    CHECK(opener.status == DCF_TB_ERR_LINK_DOWN);

    TOPIC("carrier found: the new link callback is called, the replaced one is not");
    link_state fresh = {0, 0};
    OK(dcf_tb_set_link_callback(t, on_link, &fresh));
    request("carrier on");
    EVENTUALLY(value(&fresh.up) == 1 && stats_of(t).link_up == 1);
    CHECK(value(&state.up) == 0);
    works(t);
    stream_echoes(stream);
    OK(dcf_tb_stream_close(stream));
    OK(dcf_tb_close(t));
}

static void dead_peer(void)
{
    TOPIC("a stream whose peer stays silent ends after stream_dead_after_ms");
    dcf_tb_config config;
    OK(dcf_tb_config_init(&config, sizeof config));
    config.stream_dead_after_ms = 1000;
    dcf_tb_transport t = start(&config);
    waiter reader = {t, 0, 0, DCF_TB_OK};
    OK(dcf_tb_open_stream(t, peer, GENEROUS_MS, &reader.stream));
    stream_echoes(reader.stream);
    request("carrier off");
    size_t count = 0;
    (void)dcf_tb_stream_write(reader.stream, (const uint8_t *)"x", 1, 0, &count);
    (void)wait_in_read(&reader);
    CHECK(reader.status == DCF_TB_ERR_CONNECTION_ABORTED);
    OK(dcf_tb_stream_close(reader.stream));
    request("carrier on");
    EVENTUALLY(stats_of(t).link_up == 1);
    works(t);
    OK(dcf_tb_close(t));
}

static void unplugged(void)
{
    TOPIC("interface gone: streams end, and waiting calls wake");
    link_state state;
    dcf_tb_transport t = start_watching(&state, 0);
    waiter reader = {t, 0, 0, DCF_TB_OK}, pinger = {t, 0, 0, DCF_TB_OK};
    waiter opener = {t, 0, 0, DCF_TB_OK}, watcher = {t, 0, 0, DCF_TB_OK};
    OK(dcf_tb_wait_link(t, 1, 0));
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_wait_link(t, 0, 0));
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_wait_link(t, 0, 10));
    CHECK(error_says("thunderbolt0"));
    GIVES(DCF_TB_ERR_OUT_OF_RANGE, dcf_tb_wait_link(t, 2, 0));
    CHECK(error_says("up is 2"));
    GIVES(DCF_TB_ERR_OUT_OF_RANGE, dcf_tb_wait_link(t, -1, DCF_TB_WAIT_FOREVER));
    CHECK(error_says("up is -1"));
    OK(dcf_tb_open_stream(t, peer, GENEROUS_MS, &reader.stream));
    stream_echoes(reader.stream);
    pthread_t reading = start_thread(wait_in_read, &reader);
    pthread_t pinging = start_thread(wait_for_pong, &pinger);
    pthread_t watching = start_thread(wait_for_no_link, &watcher);
    EVENTUALLY(asleep(value(&reader.thread)));
    EVENTUALLY(asleep(value(&watcher.thread)));
    pthread_t opening = start_thread(wait_for_connection, &opener);
    EVENTUALLY(asleep(value(&pinger.thread)));
    EVENTUALLY(asleep(value(&opener.thread)));
    request("unplug");
    join(watching);
    CHECK(watcher.status == DCF_TB_OK);
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_wait_link(t, 1, 10));
    CHECK(error_says("the interface is gone"));
    join(reading);
    join(pinging);
    join(opening);
    CHECK(reader.status == DCF_TB_ERR_LINK_DOWN ||
          reader.status == DCF_TB_ERR_CONNECTION_ABORTED);
    CHECK(pinger.status == DCF_TB_ERR_LINK_DOWN);
    CHECK(opener.status == DCF_TB_ERR_LINK_DOWN);
    EVENTUALLY(value(&state.down) == 1 && stats_of(t).link_up == 0);
    calls_say_link_down(t);
    size_t count = 0;
    CHECK(dcf_tb_stream_write(reader.stream, (const uint8_t *)"x", 1, GENEROUS_MS, &count) !=
          DCF_TB_OK);
    OK(dcf_tb_stream_close(reader.stream));

    TOPIC("plugged in again: on_link(1), and the same handle works");
    request("plug");
    EVENTUALLY(value(&state.up) == 1 && stats_of(t).link_up == 1);
    works(t);
    dcf_tb_stream stream = 0;
    OK(dcf_tb_open_stream(t, peer, GENEROUS_MS, &stream));
    stream_echoes(stream);
    OK(dcf_tb_stream_close(stream));
    CHECK(control_port(t) == 5000 && data_port(t) == 5001);

    TOPIC("repeated replugs leak no descriptors and no threads");
    int descriptors = count_descriptors(), threads = count_threads();
    for (int i = 1; i <= 5; i++) {
        request("unplug");
        EVENTUALLY(stats_of(t).link_up == 0);
        request("plug");
        OK(dcf_tb_wait_link(t, 1, GENEROUS_MS));
        CHECK(stats_of(t).link_up == 1);
        works(t);
        EVENTUALLY(value(&state.up) == i + 1 && value(&state.down) == i + 1);
    }
    EVENTUALLY(count_descriptors() <= descriptors);
    EVENTUALLY(count_threads() <= threads);

    TOPIC("closed while unplugged, the ports are free after a replug");
    request("unplug");
    EVENTUALLY(stats_of(t).link_up == 0);
    OK(dcf_tb_close(t));
}

static void missing(void)
{
    TOPIC("init fails for a missing interface, and names it");
    dcf_tb_transport t = 77;
    dcf_tb_config config;
    OK(dcf_tb_config_init(&config, sizeof config));
    GIVES(DCF_TB_ERR_INTERFACE_NOT_FOUND, dcf_tb_init(&config, &t));
    CHECK(error_says("thunderbolt0"));
    CHECK(t == 77);

    TOPIC("\"auto\" without a cable: the error says what it looked for");
    config.interface_name = "auto";
    GIVES(DCF_TB_ERR_INTERFACE_NOT_FOUND, dcf_tb_init(&config, &t));
    CHECK(error_says("auto") || error_says("thunderbolt-net") || error_says("thunderbolt_net"));

    TOPIC("with wait_for_interface init succeeds, and the link comes later");
    link_state state;
    t = start_watching(&state, 1);
    CHECK(stats_of(t).link_up == 0 && value(&state.up) == 0);
    calls_say_link_down(t);
    size_t length = 0;
    uint8_t byte;
    char name[16];
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_recv(t, &byte, 1, &length, NULL, 0, 0));
    OK(dcf_tb_interface(t, name, sizeof name, &length));
    CHECK(strcmp(name, "thunderbolt0") == 0);
    request("plug");
    EVENTUALLY(value(&state.up) == 1 && stats_of(t).link_up == 1);
    works(t);
    OK(dcf_tb_close(t));
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    peer = arguments[1];
    carrier();
    dead_peer();
    unplugged();
    missing();
    return 0;
}
