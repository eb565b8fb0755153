/* Callbacks that remove one another, also at the same moment. */
#include "check.h"

static dcf_tb_transport t;
static int in_message, in_stream, done;

static void on_message(const uint8_t *message, size_t length, const char *sender, void *data)
{
    (void)message, (void)length, (void)sender, (void)data;
    set(&in_message, 1);
    EVENTUALLY(value(&in_stream));
    OK(dcf_tb_set_stream_callback(t, NULL, NULL));
    add(&done, 1);
}

static void on_stream(dcf_tb_stream stream, const char *peer, void *data)
{
    (void)peer, (void)data;
    set(&in_stream, 1);
    EVENTUALLY(value(&in_message));
    OK(dcf_tb_set_message_callback(t, NULL, NULL));
    OK(dcf_tb_stream_close(stream));
    add(&done, 1);
}

/* Removes the stream callback, and waits until it has returned. */
static void unregister_streams(const uint8_t *message, size_t length, const char *sender, void *data)
{
    (void)message, (void)length, (void)sender, (void)data;
    EVENTUALLY(value(&in_stream));
    set(&in_message, 1);
    OK(dcf_tb_set_stream_callback(t, NULL, NULL));
    CHECK(value(&in_stream) == 2);
    add(&done, 1);
}

static void linger(dcf_tb_stream stream, const char *peer, void *data)
{
    (void)peer, (void)data;
    set(&in_stream, 1);
    EVENTUALLY(value(&in_message));
    for (int i = 0; i < 20; i++)
        pause_briefly();
    OK(dcf_tb_stream_close(stream));
    set(&in_stream, 2);
}

static void meet(dcf_tb_message_callback with_message, dcf_tb_stream_callback with_stream, int ends)
{
    dcf_tb_stream stream = 0;
    t = start_on_loopback();
    set(&in_message, 0);
    set(&in_stream, 0);
    set(&done, 0);
    OK(dcf_tb_set_message_callback(t, with_message, NULL));
    OK(dcf_tb_set_stream_callback(t, with_stream, NULL));
    send_text(t, "::1%lo", "go");
    OK(dcf_tb_open_stream(t, "::1%lo", GENEROUS_MS, &stream));
    EVENTUALLY(value(&done) == ends);
    OK(dcf_tb_close(t));
}

int main(void)
{
    TOPIC("a callback that removes another waits until that one has returned");
    for (int i = 0; i < 5; i++)
        meet(unregister_streams, linger, 1);
    TOPIC("two callbacks that remove one another at the same time both return");
    for (int i = 0; i < 20; i++)
        meet(on_message, on_stream, 2);
    return 0;
}
