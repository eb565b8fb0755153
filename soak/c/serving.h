/* The other end of the peer's streams. */
#ifndef SERVING_H
#define SERVING_H

#include "workers.h"

/* Follows the plan in the stream's header, and closes the stream. */
void serve(dcf_tb_stream stream);
/* A turn of the workers that accept streams while there is no stream callback. */
void take_streams(struct worker *self);
/* The number of streams being served. */
int serving_now(void);

#endif
