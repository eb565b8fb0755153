/* Many idle streams: the memory of each, and their cost in a second.
 *
 *   streams=N */
#include "dcf.h"
#include "process.h"

static _Atomic uint64_t accepted;
static dcf_tb_stream *streams;

static void keep(dcf_tb_stream stream, const char *peer, void *ignored)
{
    (void)peer;
    (void)ignored;
    streams[atomic_fetch_add(&accepted, 1)] = stream;
}

int main(int argc, char **argv)
{
    bool far = is_far(argc, argv);
    size_t count = number_argument(argv, "streams", 1000);
    dcf_tb_config config = dcf_config(argv);
    config.max_streams = (uint32_t)count;
    streams = must_allocate(count * sizeof *streams);
    if (far)
        config.on_stream = keep;
    dcf_tb_transport transport = dcf_start(&config);
    uint64_t before = resident_bytes();
    if (far) {
        say_ready();
        while (atomic_load(&accepted) < count)
            usleep(1000);
    } else {
        for (size_t i = 0; i < count; i++)
            dcf_must(dcf_tb_open_stream(transport, peer_argument(argv), 0, &streams[i]),
                     "dcf_tb_open_stream");
    }
    say("memory_per_stream", (resident_bytes() - before) / count);
    say_idleness();
    if (far)
        wait_for_end();
    else
        usleep(1000000); /* the far side still measures */
    return 0;
}
