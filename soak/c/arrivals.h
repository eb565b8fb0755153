/* Messages that have come: each intact, none twice. */
#ifndef ARRIVALS_H
#define ARRIVALS_H

#include "crew.h"

/* Judges one. */
void arrived(const uint8_t *message, size_t length, const char *sender);
/* A turn of the one who takes messages that no callback took. */
void take_messages(struct worker *self);
/* Numbers begin anew. */
void arrivals_reset(void);

#endif
