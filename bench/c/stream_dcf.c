/* Streams of the library: dcf_tb_stream_write and _read of pieces, or _send_file and
 * _receive_file. Arguments as in stream_c.c. */
#include "stream_dcf.h"

#define MOST_STREAMS 1000

static uint64_t share;
static int source = -1;
static dcf_tb_transport transport;

static void *write_one(void *peer)
{
    dcf_tb_stream stream;
    uint8_t *piece = must_allocate(sink.piece);
    uint64_t sent = 0, arrived = 0;
    size_t size;
    fill_stream(piece, sink.piece, 0);
    dcf_must(dcf_tb_open_stream(transport, peer, 0, &stream), "dcf_tb_open_stream");
    if (source >= 0)
        dcf_must(dcf_tb_stream_send_file(stream, source, 0, share, DCF_TB_WAIT_FOREVER, &sent),
                 "dcf_tb_stream_send_file");
    while (sent < share) {
        uint64_t rest = share - sent;
        dcf_must(dcf_tb_stream_write(stream, piece, rest < sink.piece ? rest : sink.piece,
                                     DCF_TB_WAIT_FOREVER, &size),
                 "dcf_tb_stream_write");
        sent += size;
    }
    dcf_must(dcf_tb_stream_finish(stream), "dcf_tb_stream_finish");
    dcf_must(dcf_tb_stream_read(stream, (uint8_t *)&arrived, sizeof arrived, DCF_TB_WAIT_FOREVER,
                                &size),
             "dcf_tb_stream_read");
    if (size != sizeof arrived || arrived != share)
        fail("%" PRIu64 " of %" PRIu64 " bytes arrived", arrived, share);
    dcf_must(dcf_tb_stream_close(stream), "dcf_tb_stream_close");
    free(piece);
    return NULL;
}

int main(int argc, char **argv)
{
    bool far = is_far(argc, argv);
    size_t streams = number_argument(argv, "streams", 1);
    if (streams < 1 || streams > MOST_STREAMS)
        fail("streams=%zu is not between 1 and %d", streams, MOST_STREAMS);
    share = number_argument(argv, "bytes", 1u << 30) / streams;
    sink.piece = number_argument(argv, "piece", PIECE);
    bool file = number_argument(argv, "file", 0) != 0;
    sink.file_bytes = share;
    sink.step = number_argument(argv, "verify", 0) ? 8 : PAGE;
    dcf_tb_config config = dcf_config(argv);
    if (far)
        config.on_stream = stream_sink;
    if (far && file)
        sink.file = memory_file(share, 0);
    transport = dcf_start(&config);
    if (far) {
        say_ready();
        wait_for_end();
        sink_say();
        return 0;
    }
    if (file)
        source = memory_file(share, PIECE);
    pthread_t threads[MOST_STREAMS];
    uint64_t busy = machine_busy_ns(), start = now_ns();
    for (size_t i = 0; i < streams; i++)
        threads[i] = must_start(write_one, (void *)(uintptr_t)peer_argument(argv));
    for (size_t i = 0; i < streams; i++)
        pthread_join(threads[i], NULL);
    say("elapsed_ns", now_ns() - start);
    say("machine_busy_ns", machine_busy_ns() - busy);
    say("bytes", share * streams);
    return 0;
}
