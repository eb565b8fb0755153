/* Peers and cables that go in the middle of a large message. Arguments: the other host's address, our own. */
#include "plugin.h"

enum { LARGE = 20000000 };

static const char *peer, *own;
static ITransport *self;

/* Sends until the other side takes no more, and tells with which number it failed in the end. */
static void *send_until_it_fails(void *unused)
{
    int status;
    (void)unused;
    while ((status = v2_send(self, peer, LARGE, 1, DCF_TB_WAIT_FOREVER)) == DCF_TB_OK)
        continue;
    return (void *)(intptr_t)status;
}

static uint64_t sent_bytes(void)
{
    return stats_of(native_v2(self)).stream_bytes_sent;
}

/* Until nothing goes any more. */
static void wait_until_stuck(void)
{
    uint64_t before, still_since = milliseconds();
    EVENTUALLY(sent_bytes() > LARGE);
    before = sent_bytes();
    while (milliseconds() - still_since < 300) {
        if (sent_bytes() != before)
            still_since = milliseconds();
        before = sent_bytes();
        pause_briefly();
    }
}

static void comes_back(const char *who, size_t size, uint32_t seed)
{
    OK(v2_send(self, who, size, seed, GENEROUS_MS));
    v2_expect(self, who, size, seed);
}

/* What happens to the other side in the middle of a message. Gives how the send fails. */
static int in_the_middle(const char *what)
{
    void *status;
    request("start receive nothing");
    pthread_t sender = start_thread(send_until_it_fails, NULL);
    wait_until_stuck();
    request(what);
    CHECK(pthread_join(sender, &status) == 0);
    return (int)(intptr_t)status;
}

static void receivers(void)
{
    TOPIC("the receiver dies in the middle: the send says so, and the next one finds its successor");
    int status = in_the_middle("kill");
    printf("  the send failed with 0x%04x\n", (unsigned)status);
    /* A connection that broke is tried once more, and then nobody is there. */
    CHECK(status == DCF_TB_ERR_CONNECTION_RESET || status == DCF_TB_ERR_BROKEN_PIPE ||
          status == DCF_TB_ERR_CONNECTION_REFUSED);
    GIVES(DCF_TB_ERR_CONNECTION_REFUSED, v2_send(self, peer, LARGE, 1, GENEROUS_MS));
    request("start echo");
    comes_back(peer, LARGE, 2);

    TOPIC("a successor is found without an error when nothing was under way");
    request("kill");
    request("start echo");
    comes_back(peer, LARGE, 3);
    request("kill");

    TOPIC("the cable is pulled in the middle");
    GIVES(DCF_TB_ERR_LINK_DOWN, in_the_middle("unplug"));
    GIVES(DCF_TB_ERR_LINK_DOWN, v2_send(self, peer, LARGE, 1, GENEROUS_MS));

    TOPIC("the same setup again is well, although its address is gone with the cable");
    OK(self->setup(self, own, 5000));
    request("plug");
    request("kill");
    request("start echo");
    EVENTUALLY(v2_send(self, peer, LARGE, 4, GENEROUS_MS) == DCF_TB_OK);
    v2_expect(self, peer, LARGE, 4);
}

static void senders(void)
{
    TOPIC("the sender dies in the middle: its message is dropped, all others are whole");
    request("kill");
    dcf_tb_stats before = stats_of(native_v2(self));
    request("start flood");
    /* Until it is stuck in the middle of one: our queue is full. */
    uint64_t received = 0, still_since = milliseconds();
    while (received == 0 || milliseconds() - still_since < 300) {
        uint64_t now = stats_of(native_v2(self)).stream_bytes_received - before.stream_bytes_received;
        if (now != received)
            still_since = milliseconds();
        received = now;
        pause_briefly();
    }
    request("kill");
    int whole = 0;
    uint8_t *data = NULL;
    size_t length = 0;
    while (self->receive(self, &data, &length, NULL, 1000) == DCF_TB_OK) {
        CHECK(is_message(data, length, LARGE, 1));
        free(data);
        whole++;
    }
    CHECK(whole >= 1);
    EVENTUALLY(stats_of(native_v2(self)).messages_dropped > before.messages_dropped);
    EVENTUALLY(stats_of(native_v2(self)).streams_open == 0);
    request("start echo");
    comes_back(peer, LARGE, 5);
}

static int finished;

static void *send_to_nobody(void *unused)
{
    int status = v2_send(self, "fe80::dead:1", LARGE, 1, GENEROUS_MS);
    CHECK(status == DCF_TB_ERR_TIMEOUT || status == DCF_TB_ERR_HOST_UNREACHABLE);
    set(&finished, 1);
    return unused;
}

static void others(void)
{
    TOPIC("a host that is not there holds up nobody else");
    pthread_t sender = start_thread(send_to_nobody, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        OK(self->send(self, (const uint8_t *)"small", 5, "fe80::dead:1", 1000));
        comes_back(peer, LARGE, i);
        comes_back(peer, 8192, i);
    }
    CHECK(!value(&finished));
    join(sender);
}

int main(int count, char **arguments)
{
    CHECK(count == 3);
    peer = arguments[1];
    own = arguments[2];
    self = v2_on(own, 5000);
    OK(self->setup(self, NULL, 5000)); /* in other words */
    receivers();
    senders();
    others();
    self->destroy(self);
    return 0;
}
