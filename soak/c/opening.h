/* The workers that open streams to the peer, each with a plan. */
#ifndef OPENING_H
#define OPENING_H

#include "conversation.h"
#include "workers.h"

/* A turn: opens a stream over the resident, and follows a plan. */
void open_streams(struct worker *self);
/* Follows a short plan on a stream of a transient. False when the stream broke. */
int converse_on_transient(struct worker *self, dcf_tb_stream stream);

#endif
