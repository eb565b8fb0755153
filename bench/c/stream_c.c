/* The yardstick of streams: blocking write and read of pieces, or sendfile and splice. Arguments as in
 * transfer.h. */
#include "stream_c.h"

static void *write_one(void *peer)
{
    int fd = stream_connect(peer);
    uint8_t *piece = must_allocate(transfer.piece);
    uint64_t sent = 0, arrived = 0;
    fill_stream(piece, transfer.piece, 0);
    off_t at = 0;
    while (sent < transfer.share) {
        uint64_t rest = transfer.share - sent;
        if (transfer.file >= 0)
            sent += (uint64_t)must(sendfile(fd, transfer.file, &at, rest < 8u << 20 ? rest : 8u << 20),
                                   "sendfile");
        else
            sent += (uint64_t)must(write(fd, piece, rest < transfer.piece ? rest : transfer.piece),
                                   "write");
    }
    must(shutdown(fd, SHUT_WR), "shutdown");
    if (read(fd, &arrived, sizeof arrived) != sizeof arrived || arrived != transfer.share)
        fail("%" PRIu64 " of %" PRIu64 " bytes arrived", arrived, transfer.share);
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    bool far = is_far(argc, argv);
    transfer_arguments(argv, far);
    if (far) {
        stream_sink_start();
        say_ready();
        wait_for_end();
        sink_say();
        return 0;
    }
    transfer_run(write_one, (void *)(uintptr_t)peer_argument(argv));
    return 0;
}
