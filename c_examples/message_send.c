/* message_send: sends COUNT messages of SIZE bytes to a peer that runs message_echo,
      checks every byte of the echoes, and prints the rate.

      Datagrams are lost when a buffer is full, so a sender must not run far ahead of
      its peer: at most a window of messages is in flight here.
      Exit code 0: every message came back unchanged. */
#include "example.h"
#include <time.h>

#define WINDOW_BYTES 65536  /* in flight; less than any system's receive buffer */
#define WINDOW_MESSAGES 64
#define PATIENCE_MS 10000   /* an echo that takes longer is lost */

static uint8_t outgoing[DCF_TB_MAX_MESSAGE_SIZE], expected[DCF_TB_MAX_MESSAGE_SIZE];
static uint8_t incoming[DCF_TB_MAX_MESSAGE_SIZE];

/* Fills a message so that it differs from its neighbours in every byte. */
static void fill(uint8_t *message, size_t size, unsigned long sequence)
{
    size_t i;

    for (i = 0; i < size; i++)
        message[i] = (uint8_t)(sequence * 31 + (sequence >> 8) + i * 7);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    dcf_tb_config config = parse_options(argc, argv, 1, 3, "PEER [COUNT [SIZE]]");
    const char *peer = argument(argc, argv, 0);
    unsigned long count = number(argument(argc, argv, 1), 10000, 1, 1000000000);
    unsigned long size = number(argument(argc, argv, 2), 64, 0, DCF_TB_MAX_MESSAGE_SIZE);
    unsigned long window = WINDOW_BYTES / (size + 1);
    unsigned long sent = 0, echoed = 0, wrong = 0;
    dcf_tb_transport transport = open_until_signal(&config);
    dcf_tb_stats stats = {0};
    double start = now(), seconds;

    if (window > WINDOW_MESSAGES)
        window = WINDOW_MESSAGES;
    while (echoed < count) {
        size_t len;
        dcf_tb_status status;

        while (sent < count && sent - echoed < window) {
            fill(outgoing, size, sent);
            check(dcf_tb_send(transport, peer, outgoing, size));
            sent++;
        }
        /* Without a message callback, messages wait in a queue for dcf_tb_recv. */
        status = dcf_tb_recv(transport, incoming, sizeof incoming, &len, NULL, 0, PATIENCE_MS);
        if (status == DCF_TB_ERR_TIMEOUT || example_interrupted)
            break; /* print the totals so far */
        check(status);
        fill(expected, size, echoed); /* one peer's messages arrive in order */
        if (len != size || memcmp(incoming, expected, size) != 0)
            wrong++;
        echoed++;
    }
    seconds = now() - start;

    printf("echoed   %lu messages, %lu wrong, %lu missing\n", echoed, wrong, sent - echoed);
    printf("rate     %.0f messages/s each way, %.1f MB/s\n", (double)echoed / seconds,
           (double)echoed * (double)size / seconds / 1e6);
    stats.struct_size = sizeof stats;
    check(dcf_tb_get_stats(transport, &stats));
    printf("sent     %lu messages, %lu bytes\n", (unsigned long)stats.messages_sent,
           (unsigned long)stats.bytes_sent);
    printf("received %lu messages, %lu bytes\n", (unsigned long)stats.messages_received,
           (unsigned long)stats.bytes_received);
    printf("dropped  %lu by the library, %lu by the kernel\n",
           (unsigned long)stats.messages_dropped, (unsigned long)stats.kernel_drops);
    check(dcf_tb_close(transport));
    return echoed == count && wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
