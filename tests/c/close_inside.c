/*
  * close from inside every kind of callback: it returns at once and finishes after the callback.
  * on_closed is the last call, and the ports are free by then. The test that started this program
  * switches the loopback interface off and on when asked.
 */
#include "process.h"

typedef struct scene {
    dcf_tb_transport transport;
    uint16_t control, data;
    int closing;  /* the callback that calls close */
    int armed, inside, returned, closed, late;
} scene;

enum { IN_MESSAGE, IN_STREAM, IN_LOG, IN_LINK, IN_PEER, KINDS };
static const char *const names[] = {"message", "stream", "log", "link", "peer"};

/* Every callback calls this; the chosen one closes the transport. */
static void called(scene *s, int kind)
{
    uint8_t running;
    if (value(&s->closed))
        add(&s->late, 1);
    if (s->closing != kind || !value(&s->armed) || value(&s->inside))
        return;
    set(&s->inside, 1);
    OK(dcf_tb_close(s->transport));
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_close(s->transport));
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_is_running(s->transport, &running));
    for (int i = 0; i < 20; i++)
        pause_briefly(); /* gives a premature on_closed the time to run */
    CHECK(value(&s->closed) == 0);
    set(&s->returned, 1);
}

static void on_message(const uint8_t *message, size_t length, const char *sender, void *data)
{
    (void)message, (void)length, (void)sender;
    called((scene *)data, IN_MESSAGE);
}

static void on_stream(dcf_tb_stream stream, const char *peer, void *data)
{
    (void)stream, (void)peer;
    called((scene *)data, IN_STREAM);
}

static void on_log(int32_t level, const char *message, void *data)
{
    (void)level, (void)message;
    called((scene *)data, IN_LOG);
}

static void on_link(int32_t up, const char *name, void *data)
{
    (void)up, (void)name;
    called((scene *)data, IN_LINK);
}

static void on_peer(int32_t appeared, const char *peer, void *data)
{
    (void)appeared, (void)peer;
    called((scene *)data, IN_PEER);
}

static void on_closed(void *data)
{
    scene *s = (scene *)data;
    CHECK(value(&s->returned) == 1);
    CHECK(add(&s->closed, 1) == 1);
    dcf_tb_config config = loopback_config();
    config.control_port = s->control;
    config.data_port = s->data;
    config.wait_for_interface = 1;
    OK(dcf_tb_close(start(&config)));
    set(&s->armed, -1);
}

static void play(int kind)
{
    printf("- close from inside the %s callback\n", names[kind]);
    fflush(stdout);
    scene s;
    memset(&s, 0, sizeof s);
    s.closing = kind;
    dcf_tb_config config = loopback_config();
    config.log_level = DCF_TB_LOG_DEBUG;
    config.on_message = on_message;
    config.on_stream = on_stream;
    config.on_log = on_log;
    config.on_link = on_link;
    config.on_peer = on_peer;
    config.on_closed = on_closed;
    config.user_data = &s;
    dcf_tb_transport other = start_on_loopback(), t = s.transport = start(&config);
    s.control = control_port(t);
    s.data = data_port(t);
    const peers_of to = peer_strings(t);
    dcf_tb_stream stream = 0;
    set(&s.armed, 1);
    if (kind == IN_MESSAGE || kind == IN_PEER)
        send_text(other, to.control, "go");
    else if (kind == IN_STREAM)
        OK(dcf_tb_open_stream(other, to.data, GENEROUS_MS, &stream));
    else
        request("down");
    EVENTUALLY(value(&s.armed) == -1);
    CHECK(value(&s.closed) == 1);
    if (kind == IN_LOG || kind == IN_LINK)
        request("up");
    OK(dcf_tb_close(other));
    EVENTUALLY(each_library_thread(NULL, NULL) == 0);
    CHECK(value(&s.late) == 0);
}

int main(void)
{
    for (int kind = 0; kind < KINDS; kind++)
        play(kind);
    int descriptors = count_descriptors();
    play(IN_MESSAGE);
    CHECK(count_descriptors() == descriptors);
    return 0;
}
