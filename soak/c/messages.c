#include "messages.h"

#include "counts.h"
#include "resident.h"

enum { HEADER = sizeof(struct message_header), BATCH_MOST = 64, BURST = 600 };

uint32_t incarnation, round_now;
uint64_t transient_number;
static uint64_t numbers[CHANNELS];

void message_make(uint8_t *message, size_t length, enum channel channel, uint64_t *number)
{
    struct message_header header = {MESSAGE_MAGIC, incarnation, round_now, channel,
                                    (uint32_t)length, *number, 0};
    if (length < HEADER) {
        content_fill(message, length, TINY_SEED + length, 0);
        return;
    }
    header.checksum = message_checksum(&header);
    memcpy(message, &header, HEADER);
    content_fill(message + HEADER, length - HEADER, header.checksum, 0);
    *number += 1;
}

/* Sizes as programs have them: mostly small, sometimes the maximum. */
static size_t any_size(struct worker *self)
{
    static const size_t most[] = {39, 128, 128, 1400, 1400, 1400, 9000, 9000, 32000, 65507};
    return (size_t)below(self, most[below(self, sizeof most / sizeof most[0])] + 1);
}

static void sent_one(size_t length)
{
    count(COUNT_messages_sent, 1);
    count(COUNT_message_bytes_sent, length);
}

static void send_one(size_t length, enum channel channel, uint8_t *buffer)
{
    uint64_t number = numbers[channel];
    message_make(buffer, length, channel, &number);
    if (fine(AT_send, dcf_tb_send(resident(), peer, buffer, length))) {
        numbers[channel] = number;
        sent_one(length);
    }
}

void send_messages(struct worker *self)
{
    static uint8_t buffer[DCF_TB_MAX_MESSAGE_SIZE];
    /* Now and then a burst, so that the peer counts as busy and gets a connected socket. */
    int times = once_in(self, 50) ? BURST : 1;
    for (int i = 0; i < times; i++)
        send_one(times > 1 ? below(self, 200) : any_size(self), SINGLE, buffer);
    rest(self, 10);
}

void send_batches(struct worker *self)
{
    static uint8_t buffers[BATCH_MOST][DCF_TB_MAX_MESSAGE_SIZE];
    static uint64_t after[BATCH_MOST];
    dcf_tb_datagram batch[BATCH_MOST];
    size_t size = (size_t)below(self, BATCH_MOST) + 1, same = any_size(self), sent = 0;
    int alike = once_in(self, 2);
    uint64_t number = numbers[BATCH];
    for (size_t i = 0; i < size; i++) {
        batch[i].peer = peer;
        batch[i].data = buffers[i];
        /* Few large messages per batch: the receiver's buffer holds no more. */
        batch[i].len = alike && same <= 9000 ? same : (size_t)below(self, i < 4 ? same + 1 : 1400);
        message_make(buffers[i], batch[i].len, BATCH, &number);
        after[i] = number;
    }
    if (fine(AT_batch, dcf_tb_send_batch(resident(), batch, size, &sent)))
        CHECK(sent == size);
    CHECK(sent <= size);
    for (size_t i = 0; i < sent; i++)
        sent_one(batch[i].len);
    if (sent > 0)
        numbers[BATCH] = after[sent - 1];
    rest(self, 60);
}

void send_mark(void)
{
    uint8_t buffer[HEADER];
    send_one(HEADER, MARK, buffer);
}

void messages_reset(uint32_t round)
{
    round_now = round;
    transient_number = 0;
    memset(numbers, 0, sizeof numbers);
}
