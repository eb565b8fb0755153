/*
  * Peers that appear and vanish, and the times they were last heard from. The loopback address is the one
  * peer here; its messages, pings and streams come from different ports.
 */
#include "check.h"

/* One callback counts what it is told; the second one counts its calls. */
static int appearances, disappearances, of_the_second;

static void on_peer(int32_t appeared, const char *peer, void *data)
{
    CHECK(data == &appearances && strcmp(peer, "::1%lo") == 0);
    CHECK(appeared == 0 || appeared == 1);
    add(appeared ? &appearances : &disappearances, 1);
}

static void on_peer_too(int32_t appeared, const char *peer, void *data)
{
    (void)peer;
    CHECK(appeared == 1);
    add((int *)data, 1);
}

static dcf_tb_transport tracking(uint32_t timeout_ms)
{
    dcf_tb_config config = loopback_config();
    config.on_peer = on_peer;
    config.peer_timeout_ms = timeout_ms;
    config.user_data = &appearances;
    set(&appearances, 0);
    set(&disappearances, 0);
    return start(&config);
}

static void by_time(dcf_tb_transport other)
{
    TOPIC("a peer appears with a message, a ping or a stream, and vanishes after silence");
    dcf_tb_transport t = tracking(200);
    uint64_t ns = 0;
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_last_heard(t, "::1", &ns));
    CHECK(error_says("nothing came from ::1 yet"));
    send_text(other, peer_strings(t).control, "hello");
    EVENTUALLY(value(&appearances) == 1);
    EVENTUALLY(value(&disappearances) == 1);
    OK(dcf_tb_last_heard(t, "[::1]:7", &ns));
    CHECK(ns >= 200000000);
    OK(dcf_tb_measure_rtt(other, peer_strings(t).control, GENEROUS_MS, &ns));
    EVENTUALLY(value(&disappearances) == 2);
    stream_pair pair = connect_streams(other, t);
    EVENTUALLY(value(&disappearances) == 3);
    close_pair(pair);
    CHECK(value(&appearances) == 3 && stats_of(t).peers_not_reported == 0);
    OK(dcf_tb_close(t));
}

static void forgotten(dcf_tb_transport other)
{
    TOPIC("a forgotten peer appears again, and is not reported as gone");
    dcf_tb_transport t = tracking(0);
    uint64_t ns = 0;
    for (int i = 1; i <= 3; i++) {
        send_text(other, peer_strings(t).control, "hello");
        EVENTUALLY(value(&appearances) == i);
        OK(dcf_tb_last_heard(t, "::1%lo", &ns));
        OK(dcf_tb_forget(t, "::1%lo"));
        GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_last_heard(t, "::1%lo", &ns));
    }

    TOPIC("a replacing callback gets changes from now on; after a gap without a callback, all peers appear again");
    send_text(other, peer_strings(t).control, "hello");
    EVENTUALLY(value(&appearances) == 4);
    OK(dcf_tb_set_peer_callback(t, on_peer_too, &of_the_second));
    for (int i = 1; i <= 5; i++) {
        if (i == 5) {
            OK(dcf_tb_set_peer_callback(t, NULL, NULL));
            OK(dcf_tb_set_peer_callback(t, on_peer_too, &of_the_second));
            send_text(other, peer_strings(t).control, "hello");
        }
        expect_text(t, "hello");
    }
    EVENTUALLY(value(&of_the_second) == 1);
    OK(dcf_tb_close(t));
    CHECK(value(&appearances) == 4 && value(&disappearances) == 0);
}

static void remembered(dcf_tb_transport other)
{
    TOPIC("without a callback, peers are remembered if remember_peers is set");
    dcf_tb_config config = loopback_config();
    for (uint32_t remember = 0; remember < 2; remember++) {
        uint64_t ns = UINT64_MAX;
        config.remember_peers = remember;
        dcf_tb_transport t = start(&config);
        send_text(other, peer_strings(t).control, "hello");
        expect_text(t, "hello");
        GIVES(remember ? DCF_TB_OK : DCF_TB_WOULD_BLOCK, dcf_tb_last_heard(t, "::1", &ns));
        CHECK((ns < UINT64_MAX) == remember);
        OK(dcf_tb_forget(t, "::1"));
        GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_last_heard(t, "::1", &ns));
        OK(dcf_tb_close(t));
    }

    TOPIC("an invalid peer string is refused, and quoted");
    uint64_t ns = 7;
    GIVES(DCF_TB_ERR_INVALID_ADDRESS, dcf_tb_last_heard(other, "nobody", &ns));
    CHECK(error_says("nobody") && ns == 7);
    GIVES(DCF_TB_ERR_INVALID_ADDRESS, dcf_tb_forget(other, "nobody"));
    GIVES(DCF_TB_ERR_INTERFACE_NOT_FOUND, dcf_tb_forget(other, "fe80::1%none0"));
}

int main(void)
{
    dcf_tb_transport other = start_on_loopback();
    by_time(other);
    forgotten(other);
    remembered(other);
    OK(dcf_tb_close(other));
    return 0;
}
