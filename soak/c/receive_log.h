/* The messages that were received: checks that each is intact, and that none comes twice. */
#ifndef RECEIVE_LOG_H
#define RECEIVE_LOG_H

#include "workers.h"

/* Checks and counts one message. */
void receive_log_add(const uint8_t *message, size_t length, const char *sender);
/* A turn of the worker that receives messages while there is no message callback. */
void take_messages(struct worker *self);
/* Begins a round: numbers start at 0 again. */
void receive_log_reset(void);

#endif
