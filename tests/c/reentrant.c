/*
  * Any function may be called from inside any callback. The test that started this program switches
  * the loopback interface off and on when asked.
 */
#include "every_call.h"

static dcf_tb_transport t, other;
static int messages, streams, logs, links, found, closes, active;
static callbacks_kept kept;

/* While set, callbacks block, except those of the main thread's own calls. */
static int hold, held;

/* Each kind of callback calls every function once for each call, but not recursively. */
static __thread int inside;

static void everything(int *counter, int with_callbacks)
{
    if (inside)
        return;
    if (value(&hold)) {
        add(&held, 1);
        EVENTUALLY(!value(&hold));
        add(&held, -1);
        return;
    }
    inside = 1;
    every_call(t, other, with_callbacks ? &kept : NULL);
    inside = 0;
    add(counter, 1);
}

static void on_message(const uint8_t *message, size_t length, const char *sender, void *data)
{
    (void)message, (void)length, (void)sender, (void)data;
    everything(&messages, 1);
}

static void on_stream(dcf_tb_stream stream, const char *peer, void *data)
{
    (void)peer, (void)data;
    everything(&streams, 1);
    OK(dcf_tb_stream_close(stream));
}

static int log_now;

static void on_log(int32_t level, const char *message, void *data)
{
    (void)level, (void)message, (void)data;
    add(&active, 1);
    if (value(&log_now))
        everything(&logs, 1);
    add(&active, -1);
}

static void on_link(int32_t up, const char *name, void *data)
{
    (void)name, (void)data;
    if (up) /* while the link is down most calls give LINK_DOWN */
        everything(&links, 1);
}

static int peers_now;

static void on_peer(int32_t appeared, const char *peer, void *data)
{
    (void)appeared, (void)peer, (void)data;
    if (value(&peers_now))
        everything(&found, 1);
}

/* Makes `other` appear as a peer. A ping calls no other callback. */
static void appear(void)
{
    uint64_t rtt;
    OK(dcf_tb_forget(t, "::1"));
    OK(dcf_tb_measure_rtt(other, peer_strings(t).control, GENEROUS_MS, &rtt));
}

static void on_closed(void *data)
{
    uint8_t running;
    (void)data;
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_is_running(t, &running));
    every_call(other, other, NULL);
    add(&closes, 1);
}

/*
  * Switches the interface off or on, and waits until both transports know. Otherwise a transport could
  * miss a change that is undone before it looks, and call no callback.
 */
static void change_link(const char *what, uint8_t up)
{
    request(what);
    EVENTUALLY(stats_of(t).link_up == up && stats_of(other).link_up == up);
}

/* Calls every function while one callback blocks. */
static void with_one_held(const char *name)
{
    printf("- every function while the %s callback blocks: the library holds no lock\n", name);
    EVENTUALLY(value(&held) == 1);
    inside = 1;
    every_call(t, other, NULL);
    inside = 0;
    CHECK(value(&held) == 1);
    set(&hold, 0);
    EVENTUALLY(value(&held) == 0);
}

int main(void)
{
    dcf_tb_config config = loopback_config();
    kept.on_message = on_message;
    kept.on_stream = on_stream;
    kept.on_log = on_log;
    kept.on_link = on_link;
    kept.on_peer = on_peer;
    config.on_message = on_message;
    config.on_stream = on_stream;
    config.on_log = on_log;
    config.on_link = on_link;
    config.on_peer = on_peer;
    config.on_closed = on_closed;
    config.log_level = DCF_TB_LOG_DEBUG;
    other = start_on_loopback();
    t = start(&config);

    TOPIC("every function from inside the message callback");
    for (int i = 1; i <= 3; i++) {
        send_text(other, peer_strings(t).control, "go");
        EVENTUALLY(value(&messages) == i);
    }

    TOPIC("from inside the stream callback");
    for (int i = 1; i <= 3; i++) {
        dcf_tb_stream stream = 0;
        OK(dcf_tb_open_stream(other, peer_strings(t).data, GENEROUS_MS, &stream));
        EVENTUALLY(value(&streams) == i);
        OK(dcf_tb_stream_close(stream));
    }

    TOPIC("from inside the log callback, for the record of an accepted stream");
    dcf_tb_stream stream = 0;
    set(&log_now, 1);
    OK(dcf_tb_open_stream(other, peer_strings(t).data, GENEROUS_MS, &stream));
    EVENTUALLY(value(&logs) > 0);
    set(&log_now, 0);
    EVENTUALLY(value(&active) == 0 && value(&streams) == 4);
    OK(dcf_tb_stream_close(stream));

    TOPIC("from inside the link callback");
    change_link("down", 0);
    change_link("up", 1);
    EVENTUALLY(value(&links) > 0);

    TOPIC("from inside the peer callback");
    set(&peers_now, 1);
    appear();
    EVENTUALLY(value(&found) > 0);
    set(&peers_now, 0);

    set(&hold, 1);
    send_text(other, peer_strings(t).control, "go");
    with_one_held("message");
    set(&hold, 1);
    OK(dcf_tb_open_stream(other, peer_strings(t).data, GENEROUS_MS, &stream));
    with_one_held("stream");
    OK(dcf_tb_stream_close(stream));
    set(&hold, 1);
    set(&log_now, 1);
    OK(dcf_tb_open_stream(other, peer_strings(t).data, GENEROUS_MS, &stream));
    int before = value(&streams);
    with_one_held("log");
    set(&log_now, 0);
    EVENTUALLY(value(&active) == 0 && value(&streams) == before + 1);
    OK(dcf_tb_stream_close(stream));
    change_link("down", 0);
    set(&hold, 1);
    change_link("up", 1);
    with_one_held("link");

    set(&peers_now, 1);
    set(&hold, 1);
    appear();
    with_one_held("peer");
    set(&peers_now, 0);

    TOPIC("from inside the closed callback");
    OK(dcf_tb_close(t));
    CHECK(value(&closes) == 1);
    OK(dcf_tb_close(other));
    return 0;
}
