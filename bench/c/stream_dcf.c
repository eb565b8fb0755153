/* Streams of the library: dcf_tb_stream_write and _read of pieces, or _send_file and
  * _receive_file. Arguments as in transfer.h. */
#include "stream_dcf.h"

static dcf_tb_transport transport;

static void *write_one(void *peer)
{
    dcf_tb_stream stream;
    uint8_t *piece = must_allocate(transfer.piece);
    uint64_t sent = 0, arrived = 0;
    size_t size;
    fill_stream(piece, transfer.piece, 0);
    dcf_must(dcf_tb_open_stream(transport, peer, 0, &stream), "dcf_tb_open_stream");
    if (transfer.file >= 0)
        dcf_must(dcf_tb_stream_send_file(stream, transfer.file, 0, transfer.share, DCF_TB_WAIT_FOREVER, &sent),
                 "dcf_tb_stream_send_file");
    while (sent < transfer.share) {
        uint64_t rest = transfer.share - sent;
        dcf_must(dcf_tb_stream_write(stream, piece, rest < transfer.piece ? rest : transfer.piece,
                                     DCF_TB_WAIT_FOREVER, &size),
                 "dcf_tb_stream_write");
        sent += size;
    }
    dcf_must(dcf_tb_stream_finish(stream), "dcf_tb_stream_finish");
    dcf_must(dcf_tb_stream_read(stream, (uint8_t *)&arrived, sizeof arrived, DCF_TB_WAIT_FOREVER,
                                &size),
             "dcf_tb_stream_read");
    if (size != sizeof arrived || arrived != transfer.share)
        fail("%" PRIu64 " of %" PRIu64 " bytes arrived", arrived, transfer.share);
    dcf_must(dcf_tb_stream_close(stream), "dcf_tb_stream_close");
    free(piece);
    return NULL;
}

int main(int argc, char **argv)
{
    bool far = is_far(argc, argv);
    transfer_arguments(argv, far);
    dcf_tb_config config = dcf_config(argv);
    if (far)
        config.on_stream = stream_sink;
    transport = dcf_start(&config);
    if (far) {
        say_ready();
        wait_for_end();
        sink_say();
        return 0;
    }
    transfer_run(write_one, (void *)(uintptr_t)peer_argument(argv));
    return 0;
}
