/* Messages of the library, received by a message callback.
 *
  *   batch=1       one dcf_tb_send per message
 *   batch=N       dcf_tb_send_batch of N
 *   size=N rate=N duration_ms=N */
#include "dcf.h"
#include "pace.h"

static void receive(const uint8_t *message, size_t length, const char *sender, void *arrivals)
{
    (void)sender;
    arrived(arrivals, message, length);
}

static void send_singly(dcf_tb_transport transport, size_t size, char **argv)
{
    const char *peer = peer_argument(argv);
    uint8_t *message = must_allocate(size);
    uint64_t sent = 0;
    fill_message(message, size);
    struct pace pace = pace_begin(argv);
    while (pace_next(&pace, 1)) {
        number_message(message, sent++);
        dcf_must(dcf_tb_send(transport, peer, message, size), "dcf_tb_send");
    }
    pace_say(&pace, sent);
}

static void send_batches(dcf_tb_transport transport, size_t size, size_t batch, char **argv)
{
    const char *peer = peer_argument(argv);
    uint8_t *messages = must_allocate(batch * size);
    dcf_tb_datagram *datagrams = must_allocate(batch * sizeof *datagrams);
    uint64_t sent = 0;
    for (size_t i = 0; i < batch; i++) {
        fill_message(messages + i * size, size);
        datagrams[i] = (dcf_tb_datagram){peer, messages + i * size, size};
    }
    struct pace pace = pace_begin(argv);
    while (pace_next(&pace, batch)) {
        size_t taken;
        for (size_t i = 0; i < batch; i++)
            number_message(messages + i * size, sent++);
        dcf_must(dcf_tb_send_batch(transport, datagrams, batch, &taken), "dcf_tb_send_batch");
    }
    pace_say(&pace, sent);
}

int main(int argc, char **argv)
{
    bool far = is_far(argc, argv);
    size_t size = number_argument(argv, "size", 64);
    size_t batch = number_argument(argv, "batch", 1);
    static struct arrivals arrivals;
    dcf_tb_config config = dcf_config(argv);
    if (far) {
        arrivals_begin(&arrivals, size);
        config.on_message = receive;
        config.user_data = &arrivals;
    }
    dcf_tb_transport transport = dcf_start(&config);
    if (far) {
        say_ready();
        wait_for_end();
        dcf_must(dcf_tb_close(transport), "dcf_tb_close");
        arrivals_say(&arrivals);
        say("cpu_ns", cpu_ns());
        return 0;
    }
    if (batch > 1)
        send_batches(transport, size, batch, argv);
    else
        send_singly(transport, size, argv);
    return 0;
}
