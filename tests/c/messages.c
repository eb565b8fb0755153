/* Control messages, sent and received: sizes, order, buffers, timeouts, senders. */
#include "process.h"

enum { LARGEST = 65507 };
static uint8_t out[LARGEST + 1], in[LARGEST + 1];

static void every_size(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("messages from 0 to 65,507 bytes arrive whole");
    const size_t sizes[] = {0, 1, 15, 16, 17, 1472, 1473, 9000, 65000, 65506, LARGEST};
    const peers_of to = peer_strings(b);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t length = 77777;
        fill(out, sizes[i], (uint32_t)i);
        OK(dcf_tb_send(a, to.control, out, sizes[i]));
        memset(in, 0, sizeof in);
        OK(dcf_tb_recv(b, in, sizeof in, &length, NULL, 0, GENEROUS_MS));
        CHECK(length == sizes[i]);
        CHECK(memcmp(in, out, length) == 0);
    }

    TOPIC("65,508 bytes are too many, and nothing is sent");
    dcf_tb_stats before = stats_of(a);
    GIVES(DCF_TB_ERR_MESSAGE_TOO_LARGE, dcf_tb_send(a, to.control, out, LARGEST + 1));
    CHECK(error_says("65508") && error_says("65507"));
    GIVES(DCF_TB_ERR_MESSAGE_TOO_LARGE, dcf_tb_send(a, to.control, out, SIZE_MAX / 2));
    CHECK(stats_of(a).messages_sent == before.messages_sent);
}

static void in_order(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("messages of one peer arrive in order");
    const peers_of to = peer_strings(b);
    for (uint32_t round = 0; round < 10; round++) {
        for (uint32_t i = 0; i < 500; i++)
            OK(dcf_tb_send(a, to.control, (const uint8_t *)&i, sizeof i));
        for (uint32_t i = 0; i < 500; i++) {
            size_t length = 0;
            OK(dcf_tb_recv(b, in, sizeof in, &length, NULL, 0, GENEROUS_MS));
            CHECK(length == sizeof i && memcmp(in, &i, sizeof i) == 0);
        }
    }
}

static void small_buffers(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("a buffer too small keeps the message and reports its length");
    const peers_of to = peer_strings(b);
    size_t length = 0;
    char sender[80];
    send_text(a, to.control, "0123456789");
    send_text(a, to.control, "next");
    for (size_t cap = 0; cap < 10; cap++) {
        memset(in, 'x', 16);
        GIVES(DCF_TB_ERR_BUFFER_TOO_SMALL,
              dcf_tb_recv(b, in, cap, &length, sender, sizeof sender, GENEROUS_MS));
        CHECK(length == 10);
        CHECK(in[cap] == 'x');
    }

    TOPIC("a sender buffer that is too small does so too");
    for (size_t cap = 1; cap < 8; cap++) {
        memset(sender, 'x', sizeof sender);
        GIVES(DCF_TB_ERR_BUFFER_TOO_SMALL,
              dcf_tb_recv(b, in, sizeof in, &length, sender, cap, GENEROUS_MS));
        CHECK(sender[cap] == 'x');
    }
    expect_text(b, "0123456789");
    expect_text(b, "next");
}

static void nobody_there(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("messages to an absent peer do not affect those to others");
    dcf_tb_config config = loopback_config();
    dcf_tb_transport gone = start_on_own_ports(&config);
    const peers_of dead = peer_strings(gone), to = peer_strings(b);
    OK(dcf_tb_close(gone));
    for (int i = 0; i < 50; i++) {
        (void)dcf_tb_send(a, dead.control, (const uint8_t *)"lost", 4);
        send_text(a, to.control, "found");
        expect_text(b, "found");
    }
}

static void time_outs(dcf_tb_transport t)
{
    size_t length = 0;
    TOPIC("timeout 0 does not wait, a finite one expires");
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_recv(t, in, sizeof in, &length, NULL, 0, 0));
    uint64_t start = milliseconds();
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_recv(t, in, sizeof in, &length, NULL, 0, 50));
    CHECK(milliseconds() - start >= 49);
    CHECK(stats_of(t).errors == 0);

    TOPIC("the longest finite timeout works");
    send_text(t, "::1%lo", "soon");
    OK(dcf_tb_recv(t, in, sizeof in, &length, NULL, 0, DCF_TB_WAIT_FOREVER - 1));
}

static void *wait_for_one(void *transport)
{
    size_t length = 0;
    uint8_t text[8];
    OK(dcf_tb_recv(*(dcf_tb_transport *)transport, text, sizeof text, &length, NULL, 0,
                   DCF_TB_WAIT_FOREVER));
    CHECK(length == 4);
    return NULL;
}

static void waiting(dcf_tb_transport t)
{
    TOPIC("a wait without limit ends with a message, one message per waiter");
    pthread_t waiters[4];
    for (int i = 0; i < 4; i++)
        waiters[i] = start_thread(wait_for_one, &t);
    for (int i = 0; i < 4; i++)
        send_text(t, "::1%lo", "wake");
    for (int i = 0; i < 4; i++)
        join(waiters[i]);
}

static void senders(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("a sender on another port has brackets and the port, one on our own port has neither");
    size_t length = 0;
    char sender[80];
    send_text(a, peer_strings(b).control, "over");
    OK(dcf_tb_recv(b, in, sizeof in, &length, sender, sizeof sender, GENEROUS_MS));
    CHECK(strcmp(sender, peer_strings(a).control) == 0);
    send_text(b, "::1%lo", "self");
    char self[80];
    OK(dcf_tb_recv(b, in, sizeof in, &length, self, sizeof self, GENEROUS_MS));
    CHECK(strcmp(self, "::1%lo") == 0);

    TOPIC("both forms are accepted as peers");
    send_text(b, sender, "back");
    expect_text(a, "back");
    send_text(b, self, "self again");
    expect_text(b, "self again");

    TOPIC("just enough room for the sender is enough");
    send_text(b, "::1%lo", "tight");
    OK(dcf_tb_recv(b, in, sizeof in, &length, self, strlen("::1%lo") + 1, GENEROUS_MS));
    CHECK(strcmp(self, "::1%lo") == 0);
}

static void overflow(void)
{
    TOPIC("a full queue drops new messages, and counts them as dropped and as received");
    dcf_tb_config config = loopback_config();
    config.receive_queue = 8;
    dcf_tb_transport t = start(&config);
    for (uint32_t i = 0; i < 20; i++) {
        OK(dcf_tb_send(t, "::1%lo", (const uint8_t *)&i, sizeof i));
        EVENTUALLY(stats_of(t).messages_received == i + 1);
    }
    EVENTUALLY(stats_of(t).messages_dropped == 12);
    CHECK(stats_of(t).bytes_received == 20 * sizeof(uint32_t));
    for (uint32_t i = 0; i < 8; i++) {
        size_t length = 0;
        OK(dcf_tb_recv(t, in, sizeof in, &length, NULL, 0, 0));
        CHECK(length == sizeof i && memcmp(in, &i, sizeof i) == 0);
    }
    size_t length = 0;
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_recv(t, in, sizeof in, &length, NULL, 0, 0));
    send_text(t, "::1%lo", "room again");
    expect_text(t, "room again");
    OK(dcf_tb_close(t));
}

static dcf_tb_transport closing;

static void *wait_for_close(void *thread)
{
    size_t length = 0;
    uint8_t text[8];
    set((int *)thread, gettid());
    GIVES(DCF_TB_CANCELLED, dcf_tb_recv(closing, text, sizeof text, &length, NULL, 0,
                                        DCF_TB_WAIT_FOREVER));
    return NULL;
}

static void close_wakes(dcf_tb_transport t)
{
    TOPIC("close wakes waiting calls");
    int threads[3] = {0, 0, 0};
    pthread_t waiters[3];
    closing = t;
    for (int i = 0; i < 3; i++)
        waiters[i] = start_thread(wait_for_close, &threads[i]);
    for (int i = 0; i < 3; i++)
        EVENTUALLY(asleep(value(&threads[i])));
    OK(dcf_tb_close(t));
    for (int i = 0; i < 3; i++)
        join(waiters[i]);
}

int main(void)
{
    dcf_tb_transport a = start_on_loopback(), b = start_on_loopback();
    every_size(a, b);
    in_order(a, b);
    small_buffers(a, b);
    nobody_there(a, b);
    time_outs(b);
    waiting(b);
    senders(a, b);
    overflow();
    OK(dcf_tb_close(a));
    close_wakes(b);
    return 0;
}
