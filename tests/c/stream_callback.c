/* A callback for each stream, on a thread of its own. */
#include "process.h"

typedef struct handler_state {
    int started, finished, hold;
    dcf_tb_stream kept;
} handler_state;

/* Echoes until the peer ends the stream. A stream that begins with '!' blocks until it is released. */
static void echo(dcf_tb_stream stream, const char *peer, void *data)
{
    handler_state *state = (handler_state *)data;
    uint8_t buffer[256];
    size_t count = 0;
    CHECK(strcmp(peer, "::1%lo") == 0);
    add(&state->started, 1);
    while (dcf_tb_stream_read(stream, buffer, sizeof buffer, DCF_TB_WAIT_FOREVER, &count) ==
           DCF_TB_OK) {
        if (buffer[0] == '!')
            EVENTUALLY(!value(&state->hold));
        write_all(stream, buffer, count);
    }
    OK(dcf_tb_stream_close(stream));
    add(&state->finished, 1);
}

static void keep(dcf_tb_stream stream, const char *peer, void *data)
{
    handler_state *state = (handler_state *)data;
    (void)peer;
    state->kept = stream;
    add(&state->finished, 1);
}

static dcf_tb_stream open_to(dcf_tb_transport from, dcf_tb_transport to)
{
    dcf_tb_stream stream = 0;
    OK(dcf_tb_open_stream(from, peer_strings(to).data, GENEROUS_MS, &stream));
    return stream;
}

static void echoes(dcf_tb_stream stream, const char *text)
{
    char back[64];
    write_all(stream, text, strlen(text));
    read_exactly(stream, back, strlen(text));
    CHECK(memcmp(back, text, strlen(text)) == 0);
}

static void *unregister(void *argument)
{
    handler_state *state = (handler_state *)((void **)argument)[1];
    dcf_tb_transport t = *(dcf_tb_transport *)((void **)argument)[0];
    set((int *)((void **)argument)[2], gettid());
    OK(dcf_tb_set_stream_callback(t, NULL, NULL));
    CHECK(value(&state->finished) == value(&state->started));
    return NULL;
}

int main(void)
{
    handler_state state;
    memset(&state, 0, sizeof state);
    dcf_tb_config config = loopback_config();
    config.on_stream = echo;
    config.user_data = &state;
    dcf_tb_transport server = start(&config), client = start_on_loopback();

    TOPIC("a stuck handler stops neither other streams nor messages");
    set(&state.hold, 1);
    dcf_tb_stream stuck = open_to(client, server);
    write_all(stuck, "!", 1);
    EVENTUALLY(value(&state.started) == 1);
    dcf_tb_stream others[20];
    for (int i = 0; i < 20; i++)
        others[i] = open_to(client, server);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 20; i++)
            echoes(others[i], "there and back");
    send_text(client, peer_strings(server).control, "message");
    expect_text(server, "message");
    CHECK(value(&state.started) == 21 && value(&state.finished) == 0);
    for (int i = 0; i < 20; i++) {
        OK(dcf_tb_stream_finish(others[i]));
        uint8_t byte;
        size_t count;
        GIVES(DCF_TB_EOF, dcf_tb_stream_read(others[i], &byte, 1, GENEROUS_MS, &count));
        OK(dcf_tb_stream_close(others[i]));
    }
    EVENTUALLY(value(&state.finished) == 20);

    TOPIC("removing the callback waits for running handlers");
    int thread = 0;
    void *argument[] = {&server, &state, &thread};
    pthread_t waiter = start_thread(unregister, argument);
    EVENTUALLY(asleep(value(&thread)));
    CHECK(value(&state.finished) == 20);
    set(&state.hold, 0);
    char byte = 0;
    read_exactly(stuck, &byte, 1);
    OK(dcf_tb_stream_close(stuck));
    join(waiter);
    CHECK(value(&state.finished) == 21);

    TOPIC("without a callback, streams wait for accept");
    stream_pair pair = connect_streams(client, server);
    close_pair(pair);

    TOPIC("a stream that waits for accept goes to a new callback");
    dcf_tb_stream early = open_to(client, server);
    int32_t fd = -1;
    OK(dcf_tb_event_fd(server, &fd));
    struct pollfd entry = {fd, POLLIN, 0};
    CHECK(poll(&entry, 1, GENEROUS_MS) == 1);
    OK(dcf_tb_set_stream_callback(server, echo, &state));
    echoes(early, "at last");
    OK(dcf_tb_stream_close(early));
    EVENTUALLY(value(&state.finished) == 22);

    TOPIC("a handle can be used after the callback has returned");
    handler_state keeper;
    memset(&keeper, 0, sizeof keeper);
    OK(dcf_tb_set_stream_callback(server, keep, &keeper));
    dcf_tb_stream near_end = open_to(client, server);
    EVENTUALLY(value(&keeper.finished) == 1);
    OK(dcf_tb_set_stream_callback(server, NULL, NULL));
    write_all(near_end, "kept", 4);
    char text[4];
    read_exactly(keeper.kept, text, 4);
    CHECK(memcmp(text, "kept", 4) == 0);
    OK(dcf_tb_stream_close(keeper.kept));
    OK(dcf_tb_stream_close(near_end));
    OK(dcf_tb_close(server));
    OK(dcf_tb_close(client));
    return 0;
}
