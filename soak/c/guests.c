#include "guests.h"

#include "counts.h"
#include "home.h"
#include "messages.h"
#include "opening.h"

/* Ports of their own that are taken again as soon as they are free. */
enum { GUEST_CONTROL = 6000, GUEST_DATA = 6001, MESSAGES = 5 };

static int closed;

static void on_closed(void *data)
{
    (void)data;
    add(&closed, 1);
}

/* Home of the peer, for a guest, whose own ports are others. */
static const char *home_of_peer(char *text, size_t size, int port)
{
    snprintf(text, size, "[%s]:%d", peer, port);
    return text;
}

static void send_some(dcf_tb_transport guest)
{
    char to[DCF_TB_PEER_SIZE];
    home_of_peer(to, sizeof to, CONTROL_PORT);
    for (int i = 0; i < MESSAGES; i++) {
        uint8_t message[sizeof(struct message_header)];
        uint64_t number = guest_number;
        message_make(message, sizeof message, GUEST, &number);
        if (!fine(AT_guest, dcf_tb_send(guest, to, message, sizeof message)))
            return;
        guest_number = number;
        count(COUNT_guest_messages_sent, 1);
    }
}

/* Whether all of it worked. */
static int use(struct worker *self, dcf_tb_transport guest)
{
    char to[DCF_TB_PEER_SIZE];
    uint64_t rtt;
    dcf_tb_stream stream = 0;
    send_some(guest);
    home_of_peer(to, sizeof to, CONTROL_PORT);
    int trip = fine(AT_guest, dcf_tb_measure_rtt(guest, to, TRIP_MS, &rtt));
    home_of_peer(to, sizeof to, DATA_PORT);
    if (!fine(AT_guest, dcf_tb_open_stream(guest, to, GENEROUS_MS, &stream)))
        return 0;
    count(COUNT_guest_streams_opened, 1);
    int whole = converse_as_guest(self, stream);
    /* Some are left to the transport to close. */
    if (!whole || once_in(self, 2))
        OK(dcf_tb_stream_close(stream));
    return trip && whole;
}

void have_guest(struct worker *self)
{
    dcf_tb_config config = settings();
    dcf_tb_transport guest = 0;
    int own_ports = once_in(self, 2), closed_before = value(&closed);
    config.control_port = own_ports ? GUEST_CONTROL : 0;
    config.data_port = own_ports ? GUEST_DATA : 0;
    config.on_closed = on_closed;
    if (fine(AT_guest, dcf_tb_init(&config, &guest))) {
        int well = use(self, guest);
        OK(dcf_tb_close(guest));
        CHECK(value(&closed) == closed_before + 1);
        GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_close(guest));
        count(COUNT_guests, (uint64_t)well);
    }
    rest(self, 500);
}
