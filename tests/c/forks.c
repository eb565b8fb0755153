/* fork: in the child of a process that had a transport, every call fails; other children may use the library. */
#include "forked.h"

static int stop;

static void *keep_busy(void *transport)
{
    dcf_tb_transport t = *(dcf_tb_transport *)transport;
    while (!value(&stop)) {
        dcf_tb_stats stats;
        uint64_t rtt;
        uint8_t text[16];
        size_t length;
        stats.struct_size = sizeof stats;
        OK(dcf_tb_send(t, "::1%lo", (const uint8_t *)"busy", 4));
        OK(dcf_tb_recv(t, text, sizeof text, &length, NULL, 0, GENEROUS_MS));
        OK(dcf_tb_measure_rtt(t, "::1%lo", GENEROUS_MS, &rtt));
        OK(dcf_tb_get_stats(t, &stats));
        CHECK(dcf_tb_close(12345) == DCF_TB_ERR_INVALID_HANDLE);
    }
    return NULL;
}

int main(void)
{
    TOPIC("a process that had no transport may fork, and use the library in parent and child");
    for (int generation = 0; generation < 2; generation++) {
        pid_t child = fork();
        if (child == 0) {
            if (generation == 0) {
                pid_t grandchild = fork();
                if (grandchild == 0) {
                    live_once();
                    exit(0);
                }
                child_ended_well(grandchild);
            }
            live_once();
            exit(0);
        }
        child_ended_well(child);
    }
    live_once();

    TOPIC("in a child of a process with a transport, every call gives ERR_FORKED, and exit works");
    dcf_tb_transport t = start_on_loopback();
    stream_pair pair = connect_streams(t, t);
    pid_t child = fork();
    if (child == 0) {
        in_the_child(t, pair.near_end);
        exit(0);
    }
    child_ended_well(child);

    TOPIC("the same while other threads of the parent are inside the library");
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = start_thread(keep_busy, &t);
    for (int i = 0; i < 50; i++) {
        child = fork();
        if (child == 0) {
            in_the_child(t, pair.near_end);
            exit(0);
        }
        child_ended_well(child);
    }
    set(&stop, 1);
    for (int i = 0; i < 3; i++)
        join(threads[i]);

    TOPIC("the parent is not affected");
    write_all(pair.near_end, "on", 2);
    char text[2];
    read_exactly(pair.far_end, text, 2);
    OK(dcf_tb_close(t));
    live_once();
    return 0;
}
