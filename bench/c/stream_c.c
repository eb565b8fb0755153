/* The yardstick of streams: blocking write and read of pieces, or sendfile and splice.
 *
 *   streams=N bytes=N   so many streams at once, and bytes of all of them
 *   piece=N             bytes a call
 *   file=1              from a file to a file
 *   verify=1            every byte is checked */
#include "stream_c.h"

#define MOST_STREAMS 1000

static uint64_t share;
static int source = -1;

static void *write_one(void *peer)
{
    int fd = stream_connect(peer);
    uint8_t *piece = must_allocate(sink.piece);
    uint64_t sent = 0, arrived = 0;
    fill_stream(piece, sink.piece, 0);
    off_t at = 0;
    while (sent < share) {
        uint64_t rest = share - sent;
        if (source >= 0)
            sent += (uint64_t)must(sendfile(fd, source, &at, rest < 8u << 20 ? rest : 8u << 20),
                                   "sendfile");
        else
            sent += (uint64_t)must(write(fd, piece, rest < sink.piece ? rest : sink.piece),
                                   "write");
    }
    must(shutdown(fd, SHUT_WR), "shutdown");
    if (read(fd, &arrived, sizeof arrived) != sizeof arrived || arrived != share)
        fail("%" PRIu64 " of %" PRIu64 " bytes arrived", arrived, share);
    close(fd);
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
    if (far) {
        if (file)
            sink.file = memory_file(share, 0);
        stream_sink_start();
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
