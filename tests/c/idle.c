/* Keeps a transport idle while the test that started this program observes the process. */
#include "check.h"

static void on_message(const uint8_t *message, size_t length, const char *sender, void *user_data)
{
    (void)message, (void)length, (void)sender, (void)user_data;
}

static int vanished;

static void on_peer(int32_t appeared, const char *peer, void *user_data)
{
    (void)peer, (void)user_data;
    if (!appeared)
        add(&vanished, 1);
}

int main(void)
{
    request("before"); /* the library was not used yet */
    dcf_tb_config config = loopback_config();
    config.on_message = on_message;
    config.on_peer = on_peer;
    config.peer_timeout_ms = 200;
    dcf_tb_transport t = start(&config), from = start_on_loopback();
    /* The transport has worked before it is idle. */
    stream_pair pair = connect_streams(from, t);
    uint64_t rtt = 0;
    send_text(from, peer_strings(t).control, "hello");
    OK(dcf_tb_measure_rtt(from, peer_strings(t).control, GENEROUS_MS, &rtt));
    OK(dcf_tb_close(from));
    OK(dcf_tb_stream_close(pair.far_end));
    /* Without peers there is no peer timeout to wait for. */
    EVENTUALLY(value(&vanished) > 0);
    request("idle");
    OK(dcf_tb_close(t));
    return 0;
}
