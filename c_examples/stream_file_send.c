/* stream_file_send: sends a file over a data stream to a peer that runs
   stream_file_receive, and waits for the word that all of it has arrived.
   Exit code 0: it has. */
#include "stream_file.h"
#include <fcntl.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    dcf_tb_config config = parse_options(argc, argv, 2, 2, "PEER FILE");
    const char *peer = argument(argc, argv, 0), *path = argument(argc, argv, 1);
    dcf_tb_transport transport;
    dcf_tb_stream stream;
    dcf_tb_stats stats = {0};
    uint64_t size, sent, arrived;
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &about) != 0) {
        perror(path);
        return EXIT_FAILURE;
    }
    if (!S_ISREG(about.st_mode)) {
        fprintf(stderr, "%s: not a regular file\n", path);
        return EXIT_FAILURE;
    }
    size = (uint64_t)about.st_size;

    transport = open_until_signal(&config);
    check(dcf_tb_open_stream(transport, peer, 0, &stream)); /* 0: the configured connect timeout */
    write_number(stream, size);
    /* From the kernel's file cache straight to the socket. DCF_TB_EOF would mean that the
       file became shorter meanwhile. */
    check(dcf_tb_stream_send_file(stream, fd, 0, size, DCF_TB_WAIT_FOREVER, &sent));
    check(dcf_tb_stream_finish(stream)); /* ends our direction; reading still works */
    arrived = read_number(stream);

    check(dcf_tb_stream_close(stream));
    stats.struct_size = sizeof stats;
    check(dcf_tb_get_stats(transport, &stats));
    check(dcf_tb_close(transport));
    close(fd);

    printf("sent %llu bytes, %llu arrived\n", (unsigned long long)sent, (unsigned long long)arrived);
    printf("statistics: %llu stream bytes sent\n", (unsigned long long)stats.stream_bytes_sent);
    return arrived == size ? EXIT_SUCCESS : EXIT_FAILURE;
}
