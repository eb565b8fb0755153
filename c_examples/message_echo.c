/* message_echo: sends every control message back to its sender.
   Runs until Ctrl-C, or until it has echoed COUNT messages; then prints the totals.

       message_echo            on one host, and on the other
       message_send PEER       */
#include "example.h"
#include <semaphore.h>

struct echo {
    dcf_tb_transport transport;
    unsigned long limit; /* 0: no limit */
    /* Written only by the receiver thread; main reads them after the callback was removed. */
    unsigned long echoed, failed;
};

static sem_t done;

static void on_signal(int signal_number)
{
    (void)signal_number;
    sem_post(&done);
}

/* Runs on the library's receiver thread, never twice at once. `message` and `sender`
   are the library's and valid during this call only; sending from in here is allowed,
   and `sender` is a complete peer string. */
static void on_message(const uint8_t *message, size_t len, const char *sender, void *user_data)
{
    struct echo *echo = user_data;

    if (dcf_tb_send(echo->transport, sender, message, len) == DCF_TB_OK)
        echo->echoed++;
    else
        echo->failed++;
    if (echo->echoed == echo->limit && echo->limit != 0)
        sem_post(&done);
}

int main(int argc, char **argv)
{
    dcf_tb_config config = parse_options(argc, argv, 0, 1, "[COUNT]");
    struct echo echo = {0};
    struct sigaction action = {0};
    dcf_tb_stats stats = {0};
    char interface[32];
    uint16_t control_port, data_port;
    size_t len;

    echo.limit = number(argument(argc, argv, 0), 0, 0, 1000000000);
    sem_init(&done, 0, 0);
    action.sa_handler = on_signal; /* the library's threads block signals, so main gets them */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    check(dcf_tb_init(&config, &echo.transport));
    check(dcf_tb_interface(echo.transport, interface, sizeof interface, &len));
    check(dcf_tb_ports(echo.transport, &control_port, &data_port));
    printf("echoing on %s, control port %u\n", interface, (unsigned)control_port);
    fflush(stdout);

    /* The callback needs the handle, so it is set once there is one. Messages that
       arrived meanwhile waited in the queue, and are handed to it first. */
    check(dcf_tb_set_message_callback(echo.transport, on_message, &echo));
    while (sem_wait(&done) != 0) {
        /* interrupted by a signal; if on_signal ran, the next try succeeds */
    }

    /* After this call the callback is not running, and is never called again. */
    check(dcf_tb_set_message_callback(echo.transport, NULL, NULL));
    stats.struct_size = sizeof stats;
    check(dcf_tb_get_stats(echo.transport, &stats));
    check(dcf_tb_close(echo.transport));

    printf("echoed   %lu messages, %lu failed\n", echo.echoed, echo.failed);
    printf("received %lu messages, %lu bytes\n", (unsigned long)stats.messages_received,
           (unsigned long)stats.bytes_received);
    printf("sent     %lu messages, %lu bytes\n", (unsigned long)stats.messages_sent,
           (unsigned long)stats.bytes_sent);
    printf("dropped  %lu by the library, %lu by the kernel\n",
           (unsigned long)stats.messages_dropped, (unsigned long)stats.kernel_drops);
    printf("answered %lu pings\n", (unsigned long)stats.pings_answered);
    return echo.failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
