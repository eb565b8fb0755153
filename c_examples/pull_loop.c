/* pull_loop: everything in one thread and one poll(2), no callbacks.
   For programs that have an event loop already, or that cannot be called from threads
   which they did not make. Prints the messages that arrive; with a PEER, sends it what
   is typed, a line a message. Ends with Ctrl-C, and with Ctrl-D when there is a PEER. */
#include "example.h"
#include <poll.h>
#include <sys/signalfd.h>

/* Receive everything: the descriptor stays readable while anything is queued. */
static void take_messages(dcf_tb_transport transport)
{
    static uint8_t message[DCF_TB_MAX_MESSAGE_SIZE];
    char sender[DCF_TB_PEER_SIZE];
    size_t len;
    dcf_tb_status status;

    while ((status = dcf_tb_recv(transport, message, sizeof message, &len,
                                 sender, sizeof sender, 0)) == DCF_TB_OK) {
        printf("%s: %.*s", sender, (int)len, (const char *)message);
        if (len == 0 || message[len - 1] != '\n')
            putchar('\n');
        fflush(stdout);
    }
    if (status != DCF_TB_WOULD_BLOCK)
        check(status);
}

/* This program has no use for streams, but must take them off the queue. One that has
   adds dcf_tb_stream_fd(stream) to its poll set, and reads with timeout 0. */
static void refuse_streams(dcf_tb_transport transport)
{
    dcf_tb_stream stream;
    dcf_tb_status status;
    char peer[DCF_TB_PEER_SIZE];
    size_t len;

    while ((status = dcf_tb_accept(transport, 0, &stream)) == DCF_TB_OK) {
        if (dcf_tb_stream_peer(stream, peer, sizeof peer, &len) == DCF_TB_OK)
            printf("%s: opened a stream; closed it\n", peer);
        fflush(stdout);
        dcf_tb_stream_close(stream);
    }
    if (status != DCF_TB_WOULD_BLOCK)
        check(status);
}

int main(int argc, char **argv)
{
    dcf_tb_config config = parse_options(argc, argv, 0, 1, "[PEER]");
    const char *peer = argument(argc, argv, 0);
    enum { MESSAGES, SIGNALS, INPUT, SOURCES };
    struct pollfd sources[SOURCES];
    dcf_tb_transport transport;
    sigset_t signals;
    int i;

    /* The signals that end the loop become one more descriptor. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    check(dcf_tb_init(&config, &transport));
    check(dcf_tb_event_fd(transport, &sources[MESSAGES].fd));
    sources[SIGNALS].fd = signalfd(-1, &signals, SFD_CLOEXEC);
    sources[INPUT].fd = peer == NULL ? -1 : STDIN_FILENO; /* poll skips a -1 */
    for (i = 0; i < SOURCES; i++)
        sources[i].events = POLLIN;

    for (;;) {
        if (poll(sources, SOURCES, -1) < 0)
            continue;
        if (sources[SIGNALS].revents != 0)
            break;
        if (sources[MESSAGES].revents != 0) {
            take_messages(transport);
            refuse_streams(transport);
        }
        if (sources[INPUT].revents != 0) {
            char line[4096];
            ssize_t len = read(STDIN_FILENO, line, sizeof line);

            if (len <= 0)
                break;
            check(dcf_tb_send(transport, peer, (const uint8_t *)line, (size_t)len));
        }
    }
    check(dcf_tb_close(transport)); /* closes the event descriptor too */
    return EXIT_SUCCESS;
}
