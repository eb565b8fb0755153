/* Streams of the library: a stream callback that reads to the end, and writers. The work is that
 * of stream_c.h. */
#ifndef STREAM_DCF_H
#define STREAM_DCF_H

#include "dcf.h"
#include "file.h"

#define PIECE (256u << 10)

static struct {
    size_t piece, step;
    int file;
    uint64_t file_bytes;
    _Atomic uint64_t bytes, bad;
    _Atomic int busy; /* connections that are being read or checked */
} sink = {.piece = PIECE, .step = PAGE, .file = -1};

static inline uint64_t sink_to_memory(dcf_tb_stream stream, uint64_t *bad)
{
    uint8_t *piece = must_allocate(sink.piece);
    uint64_t position = 0;
    size_t size;
    while (dcf_tb_stream_read(stream, piece, sink.piece, DCF_TB_WAIT_FOREVER, &size) ==
           DCF_TB_OK) {
        *bad += check_stream(piece, size, position, sink.piece, sink.step);
        position += size;
    }
    free(piece);
    return position;
}

static inline void stream_sink(dcf_tb_stream stream, const char *peer, void *ignored)
{
    atomic_fetch_add(&sink.busy, 1);
    uint64_t bad = 0, position = 0;
    size_t size;
    (void)peer;
    (void)ignored;
    if (sink.file >= 0)
        dcf_must(dcf_tb_stream_receive_file(stream, sink.file, 0, sink.file_bytes,
                                            DCF_TB_WAIT_FOREVER, &position),
                 "dcf_tb_stream_receive_file");
    else
        position = sink_to_memory(stream, &bad);
    dcf_tb_stream_write(stream, (const uint8_t *)&position, sizeof position, DCF_TB_WAIT_FOREVER,
                        &size);
    dcf_tb_stream_close(stream);
    if (sink.file >= 0)
        bad = check_file(sink.file, position, PIECE);
    atomic_fetch_add(&sink.bad, bad);
    atomic_fetch_add(&sink.bytes, position);
    atomic_fetch_sub(&sink.busy, 1);
}

static inline void sink_say(void)
{
    while (atomic_load(&sink.busy) > 0)
        usleep(1000);
    say("bytes", atomic_load(&sink.bytes));
    say("bad", atomic_load(&sink.bad));
}

/* A writer that goes on until the program ends. */
static _Atomic uint64_t load_bytes, load_since;
static dcf_tb_stream load_stream;

static inline void *stream_load(void *ignored)
{
    uint8_t *piece = must_allocate(PIECE);
    fill_stream(piece, PIECE, 0);
    (void)ignored;
    for (;;) {
        size_t written;
        dcf_must(dcf_tb_stream_write(load_stream, piece, PIECE, DCF_TB_WAIT_FOREVER, &written),
                 "dcf_tb_stream_write");
        atomic_fetch_add(&load_bytes, written);
    }
    return NULL;
}

static inline void stream_load_start(dcf_tb_transport transport, const char *peer)
{
    dcf_must(dcf_tb_open_stream(transport, peer, 0, &load_stream), "dcf_tb_open_stream");
    must_start(stream_load, NULL);
    while (atomic_load(&load_bytes) < 64 * PIECE)
        usleep(1000);
    atomic_store(&load_bytes, 0);
    atomic_store(&load_since, now_ns());
}

static inline uint64_t stream_load_rate(void)
{
    double seconds = (double)(now_ns() - atomic_load(&load_since)) / 1e9;
    return (uint64_t)((double)atomic_load(&load_bytes) / seconds);
}

#endif
