/* Those who open streams to the peer, each with a plan. */
#ifndef OPENING_H
#define OPENING_H

#include "conversation.h"
#include "crew.h"

/* A turn: opens one over home, and does as planned. */
void open_streams(struct worker *self);
/* Does as planned on a stream of a guest's, which is short. False when it broke. */
int converse_as_guest(struct worker *self, dcf_tb_stream stream);

#endif
