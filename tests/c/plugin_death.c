/* Peers that die and cables that are pulled in the middle of a large message. Arguments: the other host's
   address, our own. */
#include "plugin.h"

enum { LARGE = 20000000 };

static const char *peer, *own;
static ITransport *self;

/* Sends until a send fails, and returns its status. */
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

/* Waits until the sender makes no progress. */
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

/* Makes `what` happen to the other side in the middle of a message. Returns the status of the send. */
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
    TOPIC("the receiver dies in the middle: the send fails, and the next one reaches the restarted receiver");
    int status = in_the_middle("kill");
    printf("  the send failed with 0x%04x\n", (unsigned)status);
    /* A broken connection is retried once, and then nothing listens. */
    CHECK(status == DCF_TB_ERR_CONNECTION_RESET || status == DCF_TB_ERR_BROKEN_PIPE ||
          status == DCF_TB_ERR_CONNECTION_REFUSED);
    GIVES(DCF_TB_ERR_CONNECTION_REFUSED, v2_send(self, peer, LARGE, 1, GENEROUS_MS));
    request("start echo");
    comes_back(peer, LARGE, 2);

    TOPIC("without a message in flight, the next send reaches a restarted receiver without an error");
    request("kill");
    request("start echo");
    comes_back(peer, LARGE, 3);
    request("kill");

    TOPIC("the cable is pulled in the middle");
    GIVES(DCF_TB_ERR_LINK_DOWN, in_the_middle("unplug"));
    GIVES(DCF_TB_ERR_LINK_DOWN, v2_send(self, peer, LARGE, 1, GENEROUS_MS));

    TOPIC("the same setup again succeeds, although its address disappeared with the cable");
    OK(self->setup(self, own, 5000));
    request("plug");
    request("kill");
    request("start echo");
    EVENTUALLY(v2_send(self, peer, LARGE, 4, GENEROUS_MS) == DCF_TB_OK);
    v2_expect(self, peer, LARGE, 4);
}

static void senders(void)
{
    TOPIC("the sender dies in the middle: its message is dropped, and all others are whole");
    request("kill");
    dcf_tb_stats before = stats_of(native_v2(self));
    request("start flood");
    /* Wait until the sender is stuck in the middle of a message because our queue is full. */
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
    WITHIN(BEFORE_IDLE_MS, stats_of(native_v2(self)).streams_open == 0);
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
    TOPIC("sends to an absent host do not delay other sends");
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
    OK(self->setup(self, NULL, 5000)); /* the same setup in another form */
    receivers();
    senders();
    others();
    self->destroy(self);
    return 0;
}
