/*
  * A cable that is pulled and plugged in again while there are no descriptors. The test that started
  * this program does that when asked. Argument: the other host's address.
 */
#include "descriptors.h"

static const char *peer;
static dcf_tb_transport t;
static int up, down, retries;

static void on_link(int32_t is_up, const char *name, void *unused)
{
    (void)name, (void)unused;
    add(is_up ? &up : &down, 1);
}

static void on_log(int32_t level, const char *message, void *unused)
{
    (void)unused;
    if (level == DCF_TB_LOG_ERROR && strstr(message, "Too many open files") != NULL)
        add(&retries, 1);
}

/* Sends a message to the other host until it comes back: messages can be lost after a replug. */
static void works(void)
{
    uint8_t text[8];
    size_t length = 0;
    EVENTUALLY(dcf_tb_send(t, peer, (const uint8_t *)"ping?", 5) == DCF_TB_OK &&
               dcf_tb_recv(t, text, sizeof text, &length, NULL, 0, 50) == DCF_TB_OK);
    while (dcf_tb_recv(t, text, sizeof text, &length, NULL, 0, 100) == DCF_TB_OK)
        continue;
}

static void stream_works(void)
{
    dcf_tb_stream stream = 0;
    char text[4];
    OK(dcf_tb_open_stream(t, peer, GENEROUS_MS, &stream));
    write_all(stream, "echo", 4);
    read_exactly(stream, text, 4);
    OK(dcf_tb_stream_close(stream));
}

/* Uses up every free descriptor. */
static int taken[4096], taken_count;

static void take_all(void)
{
    int fd;
    while ((fd = dup(0)) >= 0)
        taken[taken_count++] = fd;
    CHECK(errno == EMFILE);
}

static void give_back(void)
{
    while (taken_count > 0)
        close(taken[--taken_count]);
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    peer = arguments[1];
    begin_with_few_descriptors();
    dcf_tb_config config;
    OK(dcf_tb_config_init(&config, sizeof config));
    config.on_link = on_link;
    config.on_log = on_log;
    t = start(&config);
    works();
    stream_works();
    int descriptors = count_descriptors();

    TOPIC("pulled without descriptors: it is noticed, and streams end");
    dcf_tb_stream stream = 0;
    size_t length = 0;
    uint8_t byte;
    OK(dcf_tb_open_stream(t, peer, GENEROUS_MS, &stream));
    leave(0);
    request("unplug");
    EVENTUALLY(value(&down) == 1 && stats_of(t).link_up == 0);
    CHECK(dcf_tb_stream_read(stream, &byte, 1, GENEROUS_MS, &length) == DCF_TB_ERR_LINK_DOWN);
    CHECK(value(&retries) == 0);

    TOPIC("plugged in: the descriptors that the library released are enough");
    request("plug");
    EVENTUALLY(value(&up) == 1 && stats_of(t).link_up == 1);
    works();
    CHECK(value(&retries) == 0);

    TOPIC("pulled, and other code takes the released descriptors");
    request("unplug");
    EVENTUALLY(value(&down) == 2 && stats_of(t).link_up == 0);
    OK(dcf_tb_stream_close(stream));
    take_all();
    uint64_t begin = milliseconds();
    request("plug");

    TOPIC("plugged in: the library retries once a second, and reports why the link is down");
    EVENTUALLY(value(&retries) >= 3);
    take_all(); /* those that its attempts released */
    CHECK(value(&retries) <= (int)((milliseconds() - begin) / 1000) + 2);
    GIVES(DCF_TB_ERR_LINK_DOWN, dcf_tb_send(t, peer, &byte, 1));
    CHECK(value(&up) == 1);

    TOPIC("with descriptors again, the link comes up");
    give_back();
    EVENTUALLY(value(&up) == 2 && stats_of(t).link_up == 1);
    have_descriptors();
    works();
    stream_works();
    EVENTUALLY(count_descriptors() == descriptors);
    OK(dcf_tb_close(t));
    return 0;
}
