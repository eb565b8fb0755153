/* Control messages with a header that identifies them, and the workers that send them. */
#ifndef MESSAGES_H
#define MESSAGES_H

#include "content.h"
#include "workers.h"

/* Each channel numbers its messages from 0. */
enum channel { SINGLE, BATCH, TRANSIENT, MARK, CHANNELS };

/* Begins every message that is large enough. The rest is content whose seed is the checksum. */
struct message_header {
    uint64_t magic;
    uint32_t incarnation, round;
    uint32_t channel, length;
    uint64_t number;
    uint64_t checksum;
};

#define MESSAGE_MAGIC 0x6B616F73666364FFu
/* Smaller messages have no number; their content has the seed TINY_SEED plus their length. */
#define TINY_SEED 0x796E6974u

static inline uint64_t message_checksum(const struct message_header *header)
{
    uint64_t sum = mix(header->magic ^ header->number);
    sum = mix(sum + header->incarnation + ((uint64_t)header->round << 32));
    return mix(sum + header->channel + ((uint64_t)header->length << 32));
}

/* Tells this process from earlier ones of the same host. */
extern uint32_t incarnation;
extern uint32_t round_now;

/*
  * Makes a message with `*number`. If it cannot be sent, the next message reuses the number, so a message that failed
  * but arrived anyway shows up as a duplicate.
 */
void message_make(uint8_t *message, size_t length, enum channel channel, uint64_t *number);

/* Turns of the workers that send over the resident. */
void send_messages(struct worker *self);
void send_batches(struct worker *self);
/* Sends a mark: when it arrives, every earlier message has arrived or is lost. */
void send_mark(void);
/* Begins a round: numbers start at 0 again. */
void messages_reset(uint32_t round);
/* The next number of the messages of transients. */
extern uint64_t transient_number;

#endif
