/* Control messages that say who they are: how they are made, and who sends them. */
#ifndef MESSAGES_H
#define MESSAGES_H

#include "content.h"
#include "crew.h"

/* Whose numbers a message has: numbers go up by one in each channel. */
enum channel { SINGLE, BATCH, GUEST, MARK, CHANNELS };

/* At the beginning of every message that is large enough. The rest is the content that the checksum is the seed of. */
struct message_header {
    uint64_t magic;
    uint32_t incarnation, round;
    uint32_t channel, length;
    uint64_t number;
    uint64_t checksum;
};

#define MESSAGE_MAGIC 0x6B616F73666364FFu
/* Smaller messages have the content of this seed plus their length, and no number. */
#define TINY_SEED 0x796E6974u

static inline uint64_t message_checksum(const struct message_header *header)
{
    uint64_t sum = mix(header->magic ^ header->number);
    sum = mix(sum + header->incarnation + ((uint64_t)header->round << 32));
    return mix(sum + header->channel + ((uint64_t)header->length << 32));
}

/* This process, among all that have been this host. */
extern uint32_t incarnation;
extern uint32_t round_now;

/*
 * Makes a message. It takes `*number`, and what is not sent leaves it to the next: a message that failed and arrived
 * all the same would be one that arrives twice.
 */
void message_make(uint8_t *message, size_t length, enum channel channel, uint64_t *number);

/* Turns of those who send over home. */
void send_messages(struct worker *self);
void send_batches(struct worker *self);
/* Sends one that tells the peer that all before it have arrived, as far as they ever will. */
void send_mark(void);
/* Numbers begin anew. */
void messages_reset(uint32_t round);
/* The next number of messages that guests send. */
extern uint64_t guest_number;

#endif
