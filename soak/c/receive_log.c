#include "receive_log.h"

#include "counts.h"
#include "resident.h"
#include "messages.h"

enum { HEADER = sizeof(struct message_header), SENDERS = 16, WINDOW = 1 << 15 };

/* The numbers that came on one channel of one sender: a window that ends with the highest number. */
struct seen {
    uint32_t incarnation, channel;
    uint64_t end; /* one more than the highest number; 0 before the first message */
    uint8_t had[WINDOW];
};

static struct seen seen[SENDERS];
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;

static struct seen *seen_of(const struct message_header *header)
{
    for (int i = 0; i < SENDERS; i++) {
        if (seen[i].end == 0) {
            seen[i].incarnation = header->incarnation;
            seen[i].channel = header->channel;
        }
        if (seen[i].incarnation == header->incarnation && seen[i].channel == header->channel)
            return &seen[i];
    }
    CHECK(!"a round has too many senders");
    return NULL;
}

/* Ends the soak if the number came before, or is too old for the window to tell. */
static void check_first_time(const struct message_header *header)
{
    CHECK(pthread_mutex_lock(&seen_lock) == 0);
    struct seen *of = seen_of(header);
    if (header->number >= of->end + WINDOW)
        memset(of->had, 0, sizeof of->had);
    else
        for (uint64_t number = of->end; number <= header->number; number++)
            of->had[number % WINDOW] = 0;
    if (header->number >= of->end)
        of->end = header->number + 1;
    CHECK(header->number + WINDOW >= of->end);
    CHECK(!of->had[header->number % WINDOW]);
    of->had[header->number % WINDOW] = 1;
    CHECK(pthread_mutex_unlock(&seen_lock) == 0);
}

static void check_ours(const struct message_header *header, const uint8_t *content, size_t length,
                       const char *sender)
{
    CHECK(header->checksum == message_checksum(header));
    CHECK(header->length == length);
    CHECK(content_matches(content, length - HEADER, header->checksum, 0));
    CHECK(header->round == round_now);
    CHECK(header->channel < CHANNELS);
    CHECK(is_peer(sender));
    /* Peers on our own control port are written without a port. Only transients use another port. */
    CHECK((sender[0] == '[') == (header->channel == TRANSIENT));
    check_first_time(header);
    if (header->channel == MARK)
        count(COUNT_marks_received, 1);
}

void receive_log_add(const uint8_t *message, size_t length, const char *sender)
{
    struct message_header header = {0};
    count(COUNT_message_bytes_received, length);
    if (length >= HEADER)
        memcpy(&header, message, HEADER);
    if (header.magic == MESSAGE_MAGIC)
        check_ours(&header, message + HEADER, length, sender);
    else if (length >= HEADER || !content_matches(message, length, TINY_SEED + length, 0)) {
        count(COUNT_messages_foreign, 1);
        return;
    }
    count(COUNT_messages_received, 1);
}

/* Receives one message; false when none came in time. */
static int take(uint8_t *buffer, size_t size, uint32_t timeout_ms)
{
    char sender[DCF_TB_PEER_SIZE];
    size_t length = 0;
    dcf_tb_status status =
        dcf_tb_recv(resident(), buffer, size, &length, sender, sizeof sender, timeout_ms);
    if (status == DCF_TB_WOULD_BLOCK || status == DCF_TB_ERR_TIMEOUT)
        return 0;
    /* The message stays in the queue, for a larger buffer or for a callback. */
    if (status == DCF_TB_ERR_BUFFER_TOO_SMALL && length > size)
        return 1;
    if (!fine(AT_recv, status)) {
        pause_briefly();
        return 0;
    }
    CHECK(length <= size);
    receive_log_add(buffer, length, sender);
    return 1;
}

void take_messages(struct worker *self)
{
    static uint8_t buffer[DCF_TB_MAX_MESSAGE_SIZE];
    workers_stall();
    if (once_in(self, 2)) {
        take(buffer, once_in(self, 20) ? 16 : sizeof buffer, 100);
        return;
    }
    struct pollfd event = {-1, POLLIN, 0};
    if (!fine(AT_recv, dcf_tb_event_fd(resident(), &event.fd))) {
        rest(self, 50);
        return;
    }
    if (poll(&event, 1, 100) > 0)
        while (take(buffer, sizeof buffer, 0))
            workers_stall();
}

void receive_log_reset(void)
{
    memset(seen, 0, sizeof seen);
}
