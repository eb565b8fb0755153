/* The other end of the peer's streams. */
#ifndef SERVING_H
#define SERVING_H

#include "crew.h"

/* Does what the one who opened the stream wants, and closes it. */
void serve(dcf_tb_stream stream);
/* A turn of those who take streams that no callback took. */
void take_streams(struct worker *self);
/* Streams being served. */
int serving_now(void);

#endif
