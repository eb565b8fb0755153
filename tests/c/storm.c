/* Any function from any thread at any time: threads use handles while others close them. */
#include "check.h"

enum { THREADS = 6, ROUNDS = 25 };

static dcf_tb_transport target, helper;
static dcf_tb_stream shared[4];
static int stop;
static char helper_peer[80], helper_data[80];

static void tolerate(const char *call, int line, dcf_tb_status status)
{
    switch (status) {
    case DCF_TB_OK: case DCF_TB_WOULD_BLOCK: case DCF_TB_CANCELLED: case DCF_TB_EOF:
    case DCF_TB_ERR_INVALID_HANDLE: case DCF_TB_ERR_TIMEOUT: case DCF_TB_ERR_CONNECTION_RESET:
    case DCF_TB_ERR_BROKEN_PIPE: case DCF_TB_ERR_BUFFER_TOO_SMALL:
        return;
    default:
        check_failed(__FILE__, line, call, "a status of a handle in use", status);
    }
}

#define TOLERATE(call) tolerate(#call, __LINE__, (call))

static void on_message(const uint8_t *message, size_t length, const char *sender, void *data)
{
    (void)message, (void)length, (void)data;
    TOLERATE(dcf_tb_send(target, sender, NULL, 0));
}

/* Stores a stream in the shared slot, and closes the one that was there. */
static void share(dcf_tb_stream *place, dcf_tb_stream stream)
{
    TOLERATE(dcf_tb_stream_close(__atomic_exchange_n(place, stream, __ATOMIC_SEQ_CST)));
}

static void on_stream(dcf_tb_stream stream, const char *peer, void *data)
{
    (void)peer, (void)data;
    share(&shared[stream % 4], stream);
}

static void *use_everything(void *seed)
{
    uint32_t state = (uint32_t)(uintptr_t)seed * 2654435761u + 12345;
    uint8_t buffer[256] = {0};
    char text[80];
    while (!value(&stop)) {
        dcf_tb_transport t = __atomic_load_n(&target, __ATOMIC_SEQ_CST);
        dcf_tb_stream *place = &shared[state >> 8 & 3];
        dcf_tb_stream s = __atomic_load_n(place, __ATOMIC_SEQ_CST), fresh = 0;
        size_t n = 0;
        uint64_t big = 0;
        int32_t fd;
        dcf_tb_stats stats;
        stats.struct_size = sizeof stats;
        state = state * 1664525u + 1013904223u;
        switch (state >> 27) {
        case 0: case 1: TOLERATE(dcf_tb_send(t, helper_peer, buffer, 100)); break;
        case 2: TOLERATE(dcf_tb_recv(t, buffer, sizeof buffer, &n, text, sizeof text, 1)); break;
        case 3: TOLERATE(dcf_tb_measure_rtt(t, helper_peer, 50, &big)); break;
        case 4: TOLERATE(dcf_tb_get_stats(t, &stats)); break;
        case 5: TOLERATE(dcf_tb_set_message_callback(t, state & 1 ? on_message : NULL, NULL)); break;
        case 6: TOLERATE(dcf_tb_set_stream_callback(t, state & 1 ? on_stream : NULL, NULL)); break;
        case 7: TOLERATE(dcf_tb_event_fd(t, &fd)); break;
        case 8: TOLERATE(dcf_tb_accept(t, 1, &fresh)); break;
        case 9: case 10: case 11:
            TOLERATE(dcf_tb_open_stream(t, helper_data, 1000, &fresh));
            break;
        case 12: case 13: TOLERATE(dcf_tb_stream_write(s, buffer, sizeof buffer, 1, &n)); break;
        case 14: case 15: TOLERATE(dcf_tb_stream_read(s, buffer, sizeof buffer, 1, &n)); break;
        case 16: TOLERATE(dcf_tb_stream_finish(s)); break;
        case 17: case 18: case 19: case 20: TOLERATE(dcf_tb_stream_close(s)); break;
        case 21: TOLERATE(dcf_tb_stream_fd(s, &fd)); break;
        case 22:
            if (dcf_tb_stream_detach(s, &fd) == DCF_TB_OK)
                close(fd);
            break;
        case 23: TOLERATE(dcf_tb_stream_peer(s, text, sizeof text, &n)); break;
        case 24: TOLERATE(dcf_tb_reset_stats(t)); break;
        default: TOLERATE(dcf_tb_send(t, "::1%lo", buffer, state & 63)); break;
        }
        if (fresh != 0)
            share(place, fresh);
    }
    return NULL;
}

static void drop_stream(dcf_tb_stream stream, const char *peer, void *data)
{
    (void)peer, (void)data;
    OK(dcf_tb_stream_close(stream));
}

static void drop_message(const uint8_t *message, size_t length, const char *sender, void *data)
{
    (void)message, (void)length, (void)sender, (void)data;
}

int main(void)
{
    TOPIC("transports are closed while other threads use them");
    pthread_t threads[THREADS];
    dcf_tb_config config = loopback_config();
    config.on_message = drop_message;
    config.on_stream = drop_stream;
    helper = start(&config);
    snprintf(helper_peer, sizeof helper_peer, "%s", peer_strings(helper).control);
    snprintf(helper_data, sizeof helper_data, "%s", peer_strings(helper).data);
    target = start_on_loopback();
    for (uintptr_t i = 0; i < THREADS; i++)
        threads[i] = start_thread(use_everything, (void *)i);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 5; i++)
            pause_briefly();
        dcf_tb_transport old = target, next = start_on_loopback();
        __atomic_store_n(&target, next, __ATOMIC_SEQ_CST);
        OK(dcf_tb_close(old));
    }
    set(&stop, 1);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    OK(dcf_tb_close(target));
    OK(dcf_tb_close(helper));
    return 0;
}
