/* stream_file_receive: waits for one stream_file_send, writes what it sends to a file,
   and prints how long that took. Exit code 0: the whole file is there. */
#include "stream_file.h"
#include <fcntl.h>
#include <time.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    dcf_tb_config config = parse_options(argc, argv, 1, 1, "FILE");
    const char *path = argument(argc, argv, 0);
    char interface[32], peer[DCF_TB_PEER_SIZE];
    uint16_t control_port, data_port;
    dcf_tb_transport transport;
    dcf_tb_stream stream;
    dcf_tb_stats stats = {0};
    uint64_t size, received;
    double start, seconds;
    size_t len;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (fd < 0) {
        perror(path);
        return EXIT_FAILURE;
    }
    transport = open_until_signal(&config);
    check(dcf_tb_interface(transport, interface, sizeof interface, &len));
    check(dcf_tb_ports(transport, &control_port, &data_port));
    printf("waiting on %s, data port %u\n", interface, (unsigned)data_port);
    fflush(stdout);

    check(dcf_tb_accept(transport, DCF_TB_WAIT_FOREVER, &stream));
    check(dcf_tb_stream_peer(stream, peer, sizeof peer, &len));
    start = now();
    size = read_number(stream);
    /* From the socket to the file inside the kernel. DCF_TB_EOF: the sender stopped early. */
    check(dcf_tb_stream_receive_file(stream, fd, 0, size, DCF_TB_WAIT_FOREVER, &received));
    seconds = now() - start;
    if (close(fd) != 0) { /* some file systems report a full disk only here */
        perror(path);
        return EXIT_FAILURE;
    }
    write_number(stream, received);

    check(dcf_tb_stream_close(stream)); /* the kernel still delivers written bytes */
    stats.struct_size = sizeof stats;
    check(dcf_tb_get_stats(transport, &stats));
    check(dcf_tb_close(transport));

    printf("received %llu bytes from %s in %.3f s, %.2f GB/s\n", (unsigned long long)received,
           peer, seconds, (double)received / seconds / 1e9);
    printf("statistics: %llu stream bytes received\n",
           (unsigned long long)stats.stream_bytes_received);
    return EXIT_SUCCESS;
}
