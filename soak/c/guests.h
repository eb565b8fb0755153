/* Transports that come and go beside home. */
#ifndef GUESTS_H
#define GUESTS_H

#include "crew.h"

/* A turn: opens one, uses it, closes it. */
void have_guest(struct worker *self);

#endif
