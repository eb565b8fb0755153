/*
  * Callbacks that block until they are released, in a storm of signals: which calls go on meanwhile, and
  * which wait for them. The test that started this program switches the loopback interface off and on
  * when asked.
 */
#include "process.h"
#include "signal_storm.h"

static dcf_tb_transport t, other;
static peers_of to, to_other;
static int armed, inside, let_go, accepted;

/* The first call of the armed kind blocks. */
static void stay(void)
{
    if (__atomic_exchange_n(&armed, 0, __ATOMIC_SEQ_CST) == 0)
        return;
    set(&inside, 1);
    EVENTUALLY(value(&let_go));
    set(&inside, 0);
}

static void on_message(const uint8_t *message, size_t length, const char *sender, void *unused)
{
    (void)message, (void)length, (void)sender, (void)unused;
    stay();
}

static void on_stream(dcf_tb_stream stream, const char *peer, void *unused)
{
    (void)peer, (void)unused;
    add(&accepted, 1);
    stay();
    (void)dcf_tb_stream_close(stream); /* the transport may be closing it, too */
}

static void count_stream(dcf_tb_stream stream, const char *peer, void *unused)
{
    (void)peer, (void)unused;
    add(&accepted, 1);
    (void)dcf_tb_stream_close(stream);
}

static void on_log(int32_t level, const char *message, void *unused)
{
    (void)level, (void)unused;
    if (strstr(message, "accepted") != NULL)
        stay();
}

static void on_link(int32_t up, const char *name, void *unused)
{
    (void)name, (void)unused;
    if (up)
        stay();
}

static void on_peer(int32_t appeared, const char *peer, void *unused)
{
    (void)peer, (void)unused;
    if (appeared)
        stay();
}

static void open_one(void)
{
    dcf_tb_stream stream = 0;
    OK(dcf_tb_open_stream(other, to.data, GENEROUS_MS, &stream));
}

static void send_one(void) { send_text(other, to.control, "stay"); }

static void change_link(void)
{
    /* Wait for the other transport too: it sees the change at another time. */
    request("down");
    EVENTUALLY(stats_of(t).link_up == 0 && stats_of(other).link_up == 0);
    request("up");
    EVENTUALLY(stats_of(other).link_up == 1);
}

static dcf_tb_status remove_message(uint32_t unused)
{
    (void)unused;
    return dcf_tb_set_message_callback(t, NULL, NULL);
}

static dcf_tb_status remove_stream(uint32_t unused)
{
    (void)unused;
    return dcf_tb_set_stream_callback(t, NULL, NULL);
}

static dcf_tb_status remove_log(uint32_t unused)
{
    (void)unused;
    return dcf_tb_set_log_callback(t, NULL, NULL);
}

static dcf_tb_status remove_link(uint32_t unused)
{
    (void)unused;
    return dcf_tb_set_link_callback(t, NULL, NULL);
}

static dcf_tb_status remove_peer(uint32_t unused)
{
    (void)unused;
    return dcf_tb_set_peer_callback(t, NULL, NULL);
}

static dcf_tb_status close_it(uint32_t unused)
{
    (void)unused;
    return dcf_tb_close(t);
}

static const struct kind {
    const char *name;
    void (*provoke)(void);
    dcf_tb_status (*removes)(uint32_t);
    int accepts; /* whether streams are accepted meanwhile: it does not block the accepting thread */
} kinds[] = {
    {"message", send_one, remove_message, 1},
    {"stream", open_one, remove_stream, 1},
    {"log", open_one, remove_log, 0},
    {"link", change_link, remove_link, 1},
    {"peer", send_one, remove_peer, 1},
};

static void starts_with(int kind)
{
    dcf_tb_config config = loopback_config();
    config.log_level = DCF_TB_LOG_DEBUG;
    config.on_stream = kind == 1 ? on_stream : count_stream;
    config.on_message = kind == 0 ? on_message : NULL;
    config.on_log = kind == 2 ? on_log : NULL;
    config.on_link = kind == 3 ? on_link : NULL;
    config.on_peer = kind == 4 ? on_peer : NULL;
    other = start_on_loopback();
    t = start(&config);
    to = peer_strings(t);
    to_other = peer_strings(other);
    set(&accepted, 0);
    set(&let_go, 0);
}

/* Checks everything that does not depend on the blocked callback. */
static void goes_on(const struct kind *kind)
{
    uint64_t rtt = 0;
    dcf_tb_rtt summary;
    char text[4];
    summary.struct_size = sizeof summary;
    OK(dcf_tb_ping(other, to.control, 20, 0, GENEROUS_MS, &summary));
    CHECK(summary.received == 20); /* peers are answered */
    OK(dcf_tb_measure_rtt(t, to_other.control, GENEROUS_MS, &rtt));
    send_text(t, to_other.control, "goes on");
    expect_text(other, "goes on");
    stream_pair pair = connect_streams(t, other);
    write_all(pair.near_end, "four", 4);
    read_exactly(pair.far_end, text, 4);
    close_pair(pair);
    int before = value(&accepted);
    open_one();
    if (kind->accepts)
        EVENTUALLY(value(&accepted) == before + 1);
    else
        CHECK(value(&accepted) == before);
    CHECK(value(&inside) == 1);
}

static void play(int number, int closes)
{
    const struct kind *kind = &kinds[number];
    static waiting waits[1];
    waits[0].name = closes ? "close waits for it" : "removing it waits for it";
    waits[0].call = closes ? close_it : kind->removes;
    printf("- a %s callback that blocks\n", kind->name);
    starts_with(number);
    set(&armed, 1);
    kind->provoke();
    EVENTUALLY(value(&inside));
    goes_on(kind);
    begin_calls(waits, 1, 0);
    all_interrupted(waits, 1);
    CHECK(value(&inside) == 1);
    set(&let_go, 1);
    end_calls(waits, 1, DCF_TB_OK);
    CHECK(value(&inside) == 0);
    if (!closes) {
        OK(dcf_tb_measure_rtt(other, to.control, GENEROUS_MS, &(uint64_t){0}));
        OK(dcf_tb_close(t));
    }
    OK(dcf_tb_close(other));
}

int main(void)
{
    begin_storm();
    for (int number = 0; number < 5; number++)
        for (int closes = 0; closes < 2; closes++)
            play(number, closes);
    end_storm();
    EVENTUALLY(each_library_thread(NULL, NULL) == 0);
    return 0;
}
