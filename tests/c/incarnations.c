/*
  * Changes of the interface while the process is suspended, and events that look like its end but are
  * not. The test that started this program executes the requests; "suspended" stops this process
  * meanwhile, like closing a lid. Argument: the other host's address.
 */
#include "process.h"

static const char *peer;
static int ups, downs;
static char last_down[512];

static void on_link(int32_t up, const char *name, void *data)
{
    (void)name, (void)data;
    add(up ? &ups : &downs, 1);
}

static void on_log(int32_t level, const char *message, void *data)
{
    (void)level, (void)data;
    if (strstr(message, "is down") != NULL)
        snprintf(last_down, sizeof last_down, "%s", message);
}

static dcf_tb_transport begin(void)
{
    dcf_tb_config config;
    OK(dcf_tb_config_init(&config, sizeof config));
    config.on_link = on_link;
    config.on_log = on_log;
    ups = downs = 0;
    return start(&config);
}

/* Checks a round trip and a stream to the other host. */
static dcf_tb_stream works(dcf_tb_transport t)
{
    uint64_t rtt = 0, began = milliseconds();
    dcf_tb_stream stream = 0;
    char text[4];
    EVENTUALLY(dcf_tb_measure_rtt(t, peer, 100, &rtt) == DCF_TB_OK);
    EVENTUALLY(dcf_tb_open_stream(t, peer, GENEROUS_MS, &stream) == DCF_TB_OK);
    printf("  works after %" PRIu64 " ms\n", milliseconds() - began);
    write_all(stream, "echo", 4);
    read_exactly(stream, text, 4);
    CHECK(memcmp(text, "echo", 4) == 0);
    return stream;
}

static void ended_with_the_link(dcf_tb_stream stream)
{
    uint8_t byte;
    size_t count = 0;
    GIVES(DCF_TB_ERR_LINK_DOWN, dcf_tb_stream_read(stream, &byte, 1, GENEROUS_MS, &count));
    OK(dcf_tb_stream_close(stream));
}

static void another_incarnation(const char *request_text)
{
    dcf_tb_transport t = begin();
    dcf_tb_stream stream = works(t);
    request(request_text);
    EVENTUALLY(value(&downs) == 1 && value(&ups) == 1);
    ended_with_the_link(stream);
    (void)works(t);
    CHECK(stats_of(t).link_changes == 2);
    OK(dcf_tb_close(t));
}

static void taken_over(void)
{
    TOPIC("another interface gets the index: it is never used");
    dcf_tb_transport t = begin();
    dcf_tb_stream stream = works(t);
    request("suspended: index to another");
    EVENTUALLY(value(&downs) == 1);
    ended_with_the_link(stream);
    GIVES(DCF_TB_ERR_LINK_DOWN, dcf_tb_send(t, peer, (const uint8_t *)"x", 1));
    char name[16];
    size_t length = 0;
    OK(dcf_tb_interface(t, name, sizeof name, &length));
    CHECK(strcmp(name, "thunderbolt0") == 0);
    CHECK(value(&ups) == 0);
    request("plug");
    EVENTUALLY(value(&ups) == 1);
    (void)works(t);
    OK(dcf_tb_close(t));
}

static void is_still_there(void)
{
    TOPIC("into a bridge and out again: the kernel sends RTM_DELLINK, but the interface is still there");
    dcf_tb_transport t = begin();
    dcf_tb_stream stream = works(t);
    char text[4];
    request("bridge");
    uint64_t rtt = 0;
    EVENTUALLY(dcf_tb_measure_rtt(t, peer, 100, &rtt) == DCF_TB_OK);
    write_all(stream, "same", 4);
    read_exactly(stream, text, 4);
    CHECK(memcmp(text, "same", 4) == 0);
    OK(dcf_tb_close(t));
}

static void addresses(void)
{
    TOPIC("address removed: the event gives that reason, and streams survive until it is back");
    dcf_tb_transport t = begin();
    dcf_tb_stream stream = works(t);
    char text[4];
    request("address off");
    EVENTUALLY(value(&downs) == 1);
    GIVES(DCF_TB_ERR_LINK_DOWN, dcf_tb_send(t, peer, (const uint8_t *)"x", 1));
    CHECK(error_says("no IPv6 address"));
    request("address on");
    EVENTUALLY(value(&ups) == 1);
    write_all(stream, "back", 4);
    read_exactly(stream, text, 4);
    CHECK(memcmp(text, "back", 4) == 0);
    OK(dcf_tb_stream_close(stream));
    OK(dcf_tb_stream_close(works(t)));
    OK(dcf_tb_close(t));

    TOPIC("interface switched off and on");
    t = begin();
    request("off");
    EVENTUALLY(value(&downs) == 1);
    GIVES(DCF_TB_ERR_LINK_DOWN, dcf_tb_send(t, peer, (const uint8_t *)"x", 1));
    CHECK(error_says("switched off"));
    /* While the link comes back up, there are other reasons for a moment. */
    CHECK(strstr(last_down, "switched off") != NULL);
    request("on");
    EVENTUALLY(value(&ups) == 1);
    (void)works(t);
    OK(dcf_tb_close(t));

    TOPIC("switched off and on while suspended: both changes are reported, or neither, and streams survive");
    t = begin();
    stream = works(t);
    request("suspended: off and on");
    (void)works(t);
    EVENTUALLY(value(&downs) == value(&ups) && stats_of(t).link_up == 1 &&
               stats_of(t).link_changes == (uint64_t)(value(&downs) + value(&ups)));
    write_all(stream, "here", 4);
    read_exactly(stream, text, 4);
    CHECK(memcmp(text, "here", 4) == 0);
    OK(dcf_tb_stream_close(stream));
    OK(dcf_tb_close(t));
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    peer = arguments[1];
    TOPIC("suspended while the cable is pulled and plugged");
    another_incarnation("suspended: replug");
    TOPIC("the same, with the old index for the new interface");
    another_incarnation("suspended: replug with the same index");
    taken_over();
    is_still_there();
    addresses();
    EVENTUALLY(each_library_thread(NULL, NULL) == 0);
    return 0;
}
