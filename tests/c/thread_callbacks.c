/* Callbacks and calls from several threads, with all data protected. The argument "race" leaves out a lock. */
#include "check.h"

enum { SENDERS = 3, EACH = 200 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int received, streams, unprotected;
static int racing;

static void on_message(const uint8_t *message, size_t length, const char *sender, void *user_data)
{
    (void)message, (void)length, (void)sender, (void)user_data;
    if (racing)
        unprotected++;
    pthread_mutex_lock(&lock);
    received++;
    pthread_mutex_unlock(&lock);
}

static void on_stream(dcf_tb_stream stream, const char *peer, void *user_data)
{
    uint8_t byte = 0;
    size_t count = 0;
    (void)peer, (void)user_data;
    OK(dcf_tb_stream_read(stream, &byte, 1, GENEROUS_MS, &count));
    OK(dcf_tb_stream_write(stream, &byte, 1, GENEROUS_MS, &count));
    OK(dcf_tb_stream_close(stream));
    pthread_mutex_lock(&lock);
    streams++;
    pthread_mutex_unlock(&lock);
}

static int locked(const int *counter)
{
    pthread_mutex_lock(&lock);
    int number = *counter;
    pthread_mutex_unlock(&lock);
    return number;
}

static void *talk(void *argument)
{
    const dcf_tb_transport t = *(dcf_tb_transport *)argument;
    const peers_of to = peer_strings(t);
    dcf_tb_stream stream = 0;
    uint64_t rtt = 0;
    size_t count = 0;
    uint8_t byte = 7;
    for (int i = 0; i < EACH; i++) send_text(t, to.control, "message");
    if (racing)
        unprotected++;
    OK(dcf_tb_measure_rtt(t, to.control, GENEROUS_MS, &rtt));
    OK(dcf_tb_open_stream(t, to.data, GENEROUS_MS, &stream));
    OK(dcf_tb_stream_write(stream, &byte, 1, GENEROUS_MS, &count));
    OK(dcf_tb_stream_read_exact(stream, &byte, 1, GENEROUS_MS, &count));
    OK(dcf_tb_stream_close(stream));
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t senders[SENDERS];
    dcf_tb_config config = loopback_config();
    racing = argc > 1 && strcmp(argv[1], "race") == 0;
    config.on_message = on_message;
    config.on_stream = on_stream;
    dcf_tb_transport t = start(&config);
    for (int i = 0; i < SENDERS; i++) senders[i] = start_thread(talk, &t);
    for (int i = 0; i < SENDERS; i++) join(senders[i]);
    EVENTUALLY(locked(&received) == SENDERS * EACH);
    EVENTUALLY(locked(&streams) == SENDERS);
    OK(dcf_tb_close(t));
    return 0;
}
