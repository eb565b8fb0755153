#include "transients.h"

#include "counts.h"
#include "resident.h"
#include "messages.h"
#include "opening.h"

/* Half of the transients use these ports, again and again; the others take free ones. */
enum { TRANSIENT_CONTROL = 6000, TRANSIENT_DATA = 6001, MESSAGES = 5 };

static int closed;

static void on_closed(void *data)
{
    (void)data;
    add(&closed, 1);
}

/* The peer's resident transport, with a port, because a transient's own ports differ. */
static const char *resident_of_peer(char *text, size_t size, int port)
{
    snprintf(text, size, "[%s]:%d", peer, port);
    return text;
}

static void send_some(dcf_tb_transport transient)
{
    char to[DCF_TB_PEER_SIZE];
    resident_of_peer(to, sizeof to, CONTROL_PORT);
    for (int i = 0; i < MESSAGES; i++) {
        uint8_t message[sizeof(struct message_header)];
        uint64_t number = transient_number;
        message_make(message, sizeof message, TRANSIENT, &number);
        if (!fine(AT_transient, dcf_tb_send(transient, to, message, sizeof message)))
            return;
        transient_number = number;
        count(COUNT_transient_messages_sent, 1);
    }
}

/* Whether everything worked. */
static int use(struct worker *self, dcf_tb_transport transient)
{
    char to[DCF_TB_PEER_SIZE];
    uint64_t rtt;
    dcf_tb_stream stream = 0;
    send_some(transient);
    resident_of_peer(to, sizeof to, CONTROL_PORT);
    int trip = fine(AT_transient, dcf_tb_measure_rtt(transient, to, ROUND_TRIP_MS, &rtt));
    resident_of_peer(to, sizeof to, DATA_PORT);
    if (!fine(AT_transient, dcf_tb_open_stream(transient, to, GENEROUS_MS, &stream)))
        return 0;
    count(COUNT_transient_streams_opened, 1);
    int whole = converse_on_transient(self, stream);
    /* Some streams are left open for the transport to close. */
    if (!whole || once_in(self, 2))
        OK(dcf_tb_stream_close(stream));
    return trip && whole;
}

void use_transient(struct worker *self)
{
    dcf_tb_config config = settings();
    dcf_tb_transport transient = 0;
    int own_ports = once_in(self, 2), closed_before = value(&closed);
    config.control_port = own_ports ? TRANSIENT_CONTROL : 0;
    config.data_port = own_ports ? TRANSIENT_DATA : 0;
    config.on_closed = on_closed;
    if (fine(AT_transient, dcf_tb_init(&config, &transient))) {
        int well = use(self, transient);
        OK(dcf_tb_close(transient));
        CHECK(value(&closed) == closed_before + 1);
        GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_close(transient));
        count(COUNT_transients, (uint64_t)well);
    }
    rest(self, 500);
}
