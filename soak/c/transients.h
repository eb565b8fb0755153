/* Transports that are opened, used and closed beside the resident one. */
#ifndef TRANSIENTS_H
#define TRANSIENTS_H

#include "workers.h"

/* A turn: opens a transport, uses it, closes it. */
void use_transient(struct worker *self);

#endif
