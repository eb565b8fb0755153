/* Callbacks: order, replacing and unregistering, from outside and from inside. */
#include "process.h"

/* The record of a counting callback. */
typedef struct seen {
    int calls;
    int running;
    uint32_t last;
    dcf_tb_transport transport;
} seen;

static void count_in_order(const uint8_t *message, size_t length, const char *sender, void *data)
{
    seen *s = (seen *)data;
    uint32_t number;
    CHECK(add(&s->running, 1) == 1); /* calls never overlap */
    CHECK(length == sizeof number);
    CHECK(strcmp(sender, "::1%lo") == 0);
    memcpy(&number, message, sizeof number);
    CHECK(number == s->last + 1);
    s->last = number;
    add(&s->running, -1);
    add(&s->calls, 1);
}

static void send_number(dcf_tb_transport t, uint32_t number)
{
    OK(dcf_tb_send(t, "::1%lo", (const uint8_t *)&number, sizeof number));
}

static void in_order(void)
{
    TOPIC("a callback gets every message of a peer in order, one at a time");
    seen s;
    memset(&s, 0, sizeof s);
    dcf_tb_config config = loopback_config();
    config.on_message = count_in_order;
    config.user_data = &s;
    dcf_tb_transport t = start(&config);
    for (uint32_t i = 1; i <= 2000; i++) {
        send_number(t, i);
        if (i % 200 == 0)
            EVENTUALLY(value(&s.calls) == (int)i);
    }
    uint8_t buffer[8];
    size_t length;
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_recv(t, buffer, sizeof buffer, &length, NULL, 0, 0));
    OK(dcf_tb_close(t));
}

static void queue_first(void)
{
    TOPIC("queued messages go to a new callback first, in order");
    for (int round = 0; round < 20; round++) {
        seen s;
        memset(&s, 0, sizeof s);
        dcf_tb_transport t = start_on_loopback();
        for (uint32_t i = 1; i <= 50; i++)
            send_number(t, i);
        /* Some messages are in the queue, some in flight. */
        OK(dcf_tb_set_message_callback(t, count_in_order, &s));
        for (uint32_t i = 51; i <= 100; i++)
            send_number(t, i);
        EVENTUALLY(value(&s.calls) == 100);
        OK(dcf_tb_close(t));
    }
}

/* A callback that signals that it runs, and waits until it is released. */
typedef struct gate {
    int inside, open, finished;
} gate;

static void wait_at_gate(const uint8_t *message, size_t length, const char *sender, void *data)
{
    gate *g = (gate *)data;
    (void)message, (void)length, (void)sender;
    add(&g->inside, 1);
    EVENTUALLY(value(&g->open));
    add(&g->finished, 1);
}

typedef struct change {
    dcf_tb_transport transport;
    dcf_tb_message_callback next;
    void *data;
    gate *old;
    int thread;
} change;

static void *change_callback(void *argument)
{
    change *c = (change *)argument;
    set(&c->thread, gettid());
    OK(dcf_tb_set_message_callback(c->transport, c->next, c->data));
    /* The call has returned, so the old callback has finished. */
    CHECK(value(&c->old->finished) == 1);
    return NULL;
}

static void changing_waits(dcf_tb_message_callback next)
{
    gate old = {0, 0, 0}, fresh = {0, 1, 0};
    dcf_tb_transport t = start_on_loopback();
    change c = {t, next, &fresh, &old, 0};
    OK(dcf_tb_set_message_callback(t, wait_at_gate, &old));
    send_text(t, "::1%lo", "in");
    EVENTUALLY(value(&old.inside) == 1);
    pthread_t thread = start_thread(change_callback, &c);
    EVENTUALLY(asleep(value(&c.thread)));
    CHECK(value(&old.finished) == 0);
    set(&old.open, 1);
    join(thread);
    send_text(t, "::1%lo", "after");
    if (next == NULL)
        expect_text(t, "after");
    else
        EVENTUALLY(value(&fresh.finished) == 1);
    CHECK(value(&old.inside) == 1);
    OK(dcf_tb_close(t));
}

static void *unregister(void *data)
{
    seen *s = (seen *)data;
    OK(dcf_tb_set_message_callback(s->transport, NULL, NULL));
    return NULL;
}

static void under_fire(void)
{
    TOPIC("a callback that is removed under load never runs again");
    for (int round = 0; round < 50; round++) {
        seen s;
        memset(&s, 0, sizeof s);
        dcf_tb_transport t = s.transport = start_on_loopback();
        OK(dcf_tb_set_message_callback(t, count_in_order, &s));
        for (uint32_t i = 1; i <= 20; i++)
            send_number(t, i);
        OK(dcf_tb_set_message_callback(t, NULL, NULL));
        CHECK(value(&s.running) == 0);
        int calls = value(&s.calls);
        EVENTUALLY(stats_of(t).messages_received == 20);
        /* Removing it once more waits for any call that might still run. */
        pthread_t thread = start_thread(unregister, &s);
        join(thread);
        CHECK(value(&s.calls) == calls);
        for (int i = calls; i < 20; i++) {
            uint8_t buffer[8];
            size_t length;
            OK(dcf_tb_recv(t, buffer, sizeof buffer, &length, NULL, 0, GENEROUS_MS));
        }
        OK(dcf_tb_close(t));
    }
}

static void unregister_inside(const uint8_t *message, size_t length, const char *sender, void *data)
{
    seen *s = (seen *)data;
    (void)message, (void)length, (void)sender;
    OK(dcf_tb_set_message_callback(s->transport, NULL, NULL));
    add(&s->calls, 1);
}

static void replace_inside(const uint8_t *message, size_t length, const char *sender, void *data)
{
    seen *s = (seen *)data;
    (void)message, (void)length, (void)sender;
    s->last = 0;
    OK(dcf_tb_set_message_callback(s->transport, count_in_order, s));
    add(&s->calls, 1);
}

static void from_inside(void)
{
    TOPIC("removing from inside returns at once, and the running call is the last");
    seen s;
    memset(&s, 0, sizeof s);
    dcf_tb_transport t = s.transport = start_on_loopback();
    for (int i = 0; i < 3; i++)
        send_text(t, "::1%lo", "text");
    EVENTUALLY(stats_of(t).messages_received == 3);
    OK(dcf_tb_set_message_callback(t, unregister_inside, &s));
    EVENTUALLY(value(&s.calls) == 1);
    expect_text(t, "text");
    expect_text(t, "text");
    CHECK(value(&s.calls) == 1);

    TOPIC("replacing from inside returns at once, and the running call is the last");
    OK(dcf_tb_set_message_callback(t, replace_inside, &s));
    send_text(t, "::1%lo", "first");
    EVENTUALLY(value(&s.calls) == 2);
    send_number(t, 1);
    send_number(t, 2);
    EVENTUALLY(value(&s.calls) == 4);
    OK(dcf_tb_close(t));
}

static void *pull_one(void *argument)
{
    change *c = (change *)argument;
    uint8_t text[8];
    size_t length = 0;
    set(&c->thread, gettid());
    OK(dcf_tb_recv(c->transport, text, sizeof text, &length, NULL, 0, DCF_TB_WAIT_FOREVER));
    CHECK(length == 6 && memcmp(text, "pulled", 6) == 0);
    return NULL;
}

static void puller_waits_on(void)
{
    TOPIC("a waiting recv gets no message while a callback is set, and continues after its removal");
    gate calls = {0, 1, 0};
    dcf_tb_transport t = start_on_loopback();
    change c = {t, NULL, NULL, NULL, 0};
    pthread_t puller = start_thread(pull_one, &c);
    EVENTUALLY(asleep(value(&c.thread)));
    OK(dcf_tb_set_message_callback(t, wait_at_gate, &calls));
    send_text(t, "::1%lo", "called");
    EVENTUALLY(value(&calls.finished) == 1);
    OK(dcf_tb_set_message_callback(t, NULL, NULL));
    send_text(t, "::1%lo", "pulled");
    join(puller);
    CHECK(value(&calls.finished) == 1);
    OK(dcf_tb_close(t));
}

int main(void)
{
    in_order();
    queue_first();
    TOPIC("removing and replacing wait for a running call");
    changing_waits(NULL);
    changing_waits(wait_at_gate);
    under_fire();
    from_inside();
    puller_waits_on();
    return 0;
}
