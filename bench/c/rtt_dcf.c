/* Round trips of the library: dcf_tb_measure_rtt, timed by the caller.
 *
  *   busy_poll_us=N   instead of the default
 *   load=1           a stream saturates the link meanwhile */
#include "stream_dcf.h"

static void measure(dcf_tb_transport transport, char **argv)
{
    size_t count = number_argument(argv, "count", 10000);
    size_t warm_up = count / 10;
    uint64_t interval = number_argument(argv, "interval_us", 0);
    uint64_t *rtt = must_allocate(count * sizeof *rtt);
    const char *peer = peer_argument(argv);
    uint64_t lost = 0;
    for (size_t i = 0; i < warm_up + count; i++) {
        uint64_t start = now_ns(), measured;
        dcf_tb_status status = dcf_tb_measure_rtt(transport, peer, 1000, &measured);
        uint64_t end = now_ns();
        if (status == DCF_TB_ERR_TIMEOUT)
            lost++;
        else
            dcf_must(status, "dcf_tb_measure_rtt");
        if (i >= warm_up)
            rtt[i - warm_up] = end - start;
        if (interval > 0)
            usleep((useconds_t)interval);
    }
    say("lost", lost);
    say_all("rtt_ns", rtt, count);
}

int main(int argc, char **argv)
{
    bool far = is_far(argc, argv);
    bool load = number_argument(argv, "load", 0) != 0;
    dcf_tb_config config = dcf_config(argv);
    if (far)
        config.on_stream = stream_sink;
    dcf_tb_transport transport = dcf_start(&config);
    if (far) {
        say_ready();
        wait_for_end();
        return 0;
    }
    dcf_tb_stream stream;
    if (load) {
        dcf_must(dcf_tb_open_stream(transport, peer_argument(argv), 0, &stream),
                 "dcf_tb_open_stream");
        load_begin(stream_load, &stream);
    }
    measure(transport, argv);
    if (load)
        say("load_bytes_per_second", load_rate());
    return 0;
}
