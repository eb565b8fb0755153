/* Streams of the library: a stream callback that reads to the end, and writers. The work is the same as
 * in stream_c.h. */
#ifndef STREAM_DCF_H
#define STREAM_DCF_H

#include "dcf.h"
#include "transfer.h"

static inline uint64_t sink_to_memory(dcf_tb_stream stream, uint64_t *bad)
{
    uint8_t *piece = must_allocate(transfer.piece);
    uint64_t position = 0;
    size_t size;
    while (dcf_tb_stream_read(stream, piece, transfer.piece, DCF_TB_WAIT_FOREVER, &size) ==
           DCF_TB_OK) {
        *bad += check_stream(piece, size, position, transfer.piece, transfer.step);
        position += size;
    }
    free(piece);
    return position;
}

/* The same, with newly allocated memory for each piece, like a host that receives messages. */
static inline uint64_t sink_to_messages(dcf_tb_stream stream, uint64_t *bad)
{
    uint64_t position = 0;
    size_t got;
    do {
        uint8_t *message = malloc(transfer.piece); /* not touched before the read */
        size_t size;
        if (!message)
            fail("no memory for %zu bytes", transfer.piece);
        for (got = 0; got < transfer.piece; got += size)
            if (dcf_tb_stream_read(stream, message + got, transfer.piece - got, DCF_TB_WAIT_FOREVER, &size) !=
                DCF_TB_OK)
                break;
        *bad += check_stream(message, got, position, transfer.piece, transfer.step);
        position += got;
        free(message);
    } while (got == transfer.piece);
    return position;
}

static inline void stream_sink(dcf_tb_stream stream, const char *peer, void *ignored)
{
    atomic_fetch_add(&sink.busy, 1);
    uint64_t bad = 0, position = 0;
    size_t size;
    (void)peer;
    (void)ignored;
    if (transfer.file >= 0)
        dcf_must(dcf_tb_stream_receive_file(stream, transfer.file, 0, transfer.share,
                                            DCF_TB_WAIT_FOREVER, &position),
                 "dcf_tb_stream_receive_file");
    else
        position = transfer.messages ? sink_to_messages(stream, &bad) : sink_to_memory(stream, &bad);
    dcf_tb_stream_write(stream, (const uint8_t *)&position, sizeof position, DCF_TB_WAIT_FOREVER,
                        &size);
    dcf_tb_stream_close(stream);
    sink_count(position, bad);
}

/* A writer that runs until the program ends. */
static inline void *stream_load(void *argument)
{
    dcf_tb_stream stream = *(dcf_tb_stream *)argument;
    uint8_t *piece = must_allocate(PIECE);
    fill_stream(piece, PIECE, 0);
    for (;;) {
        size_t written;
        dcf_must(dcf_tb_stream_write(stream, piece, PIECE, DCF_TB_WAIT_FOREVER, &written),
                 "dcf_tb_stream_write");
        atomic_fetch_add(&load_bytes, written);
    }
    return NULL;
}

#endif
