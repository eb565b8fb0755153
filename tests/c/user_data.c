/* The user pointer of a stream: kept, never dereferenced, and safe between threads. */
#include "check.h"

static void *kept(dcf_tb_stream stream)
{
    void *data = &data;
    OK(dcf_tb_stream_user_data(stream, &data));
    return data;
}

static void one_thread(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("a stream begins with NULL, and keeps what was set last");
    stream_pair pair = connect_streams(a, b);
    int own = 1;
    CHECK(kept(pair.near_end) == NULL && kept(pair.far_end) == NULL);
    OK(dcf_tb_stream_set_user_data(pair.near_end, &own));
    CHECK(kept(pair.near_end) == &own && kept(pair.far_end) == NULL);
    /* It is never dereferenced, so it need not be valid. */
    OK(dcf_tb_stream_set_user_data(pair.near_end, (void *)(uintptr_t)1));
    CHECK(kept(pair.near_end) == (void *)(uintptr_t)1);
    OK(dcf_tb_stream_set_user_data(pair.near_end, NULL));
    CHECK(kept(pair.near_end) == NULL);

    TOPIC("it stays as long as the handle, even if the connection breaks");
    OK(dcf_tb_stream_set_user_data(pair.near_end, &own));
    OK(dcf_tb_stream_finish(pair.near_end));
    OK(dcf_tb_stream_close(pair.far_end));
    uint8_t byte;
    size_t count;
    GIVES(DCF_TB_EOF, dcf_tb_stream_read(pair.near_end, &byte, 1, GENEROUS_MS, &count));
    CHECK(kept(pair.near_end) == &own);
    OK(dcf_tb_stream_close(pair.near_end));
    void *data = &byte;
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_stream_user_data(pair.near_end, &data));
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_stream_set_user_data(pair.near_end, &own));
    CHECK(data == &byte && own == 1);

    TOPIC("the next stream, which may reuse the slot, begins with NULL");
    for (int i = 0; i < 10; i++) {
        stream_pair next = connect_streams(a, b);
        CHECK(kept(next.near_end) == NULL && kept(next.far_end) == NULL);
        OK(dcf_tb_stream_set_user_data(next.near_end, &own));
        OK(dcf_tb_stream_set_user_data(next.far_end, &own));
        close_pair(next);
    }
}

/* A thread that reads the pointer sees everything that was written before it was set. */
typedef struct session {
    int first, second;
} session;

enum { SESSIONS = 20000 };
static dcf_tb_stream shared;
static session sessions[SESSIONS];

static void *look(void *unused)
{
    const session *last = NULL;
    while (last != &sessions[SESSIONS - 1]) {
        const session *now = (const session *)kept(shared);
        if (now == NULL)
            continue;
        CHECK(now >= last && now->first == now - sessions && now->second == -now->first);
        last = now;
    }
    return unused;
}

static void several_threads(dcf_tb_transport a, dcf_tb_transport b)
{
    TOPIC("threads that read it see all writes from before it was set");
    stream_pair pair = connect_streams(a, b);
    shared = pair.near_end;
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = start_thread(look, NULL);
    for (int i = 0; i < SESSIONS; i++) {
        sessions[i].first = i;
        sessions[i].second = -i;
        OK(dcf_tb_stream_set_user_data(shared, &sessions[i]));
    }
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    close_pair(pair);
}

static int called;

static void on_stream(dcf_tb_stream stream, const char *peer, void *unused)
{
    (void)peer, (void)unused;
    CHECK(kept(stream) == NULL);
    OK(dcf_tb_stream_set_user_data(stream, &called));
    CHECK(kept(stream) == &called);
    add(&called, 1);
}

int main(void)
{
    dcf_tb_transport a = start_on_loopback(), b = start_on_loopback();
    one_thread(a, b);
    several_threads(a, b);

    TOPIC("a stream callback gets a new stream, and its pointer stays until the transport closes");
    OK(dcf_tb_set_stream_callback(b, on_stream, NULL));
    dcf_tb_stream stream;
    OK(dcf_tb_open_stream(a, peer_strings(b).data, GENEROUS_MS, &stream));
    EVENTUALLY(value(&called) == 1);
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
    void *data = NULL;
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_stream_user_data(stream, &data));
    return 0;
}
