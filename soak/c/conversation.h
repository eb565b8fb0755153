/* A stream between the two hosts, and the plan that both sides follow on it. */
#ifndef CONVERSATION_H
#define CONVERSATION_H

#include "content.h"
#include "counts.h"

/* The plan of the side that opens the stream. */
enum plan {
    ECHO,       /* content goes to the peer and comes back, piece by piece */
    DETACHED,   /* the same, over the descriptor that dcf_tb_stream_detach returned */
    UPLOAD,     /* content and a half-close; the peer answers with a receipt */
    UPLOAD_FILE,
    DOWNLOAD,   /* a half-close at once; the peer sends the content */
    DOWNLOAD_FILE,
    LEAVE,      /* the opening side closes in the middle of its content */
    BE_LEFT,    /* the serving side does */
    PLANS
};

/* The first bytes of every stream of the soak. */
struct stream_header {
    uint64_t magic;
    uint32_t plan, incarnation;
    uint64_t length;   /* of the content */
    uint64_t position; /* of its first byte, in the content that all streams share */
    uint64_t cut;      /* bytes after which the stream is closed early */
    uint64_t checksum;
};

#define STREAM_MAGIC 0x6D6165727473FF00u
#define STREAM_SEED 0x736D6165727473u
enum { PIECE = 1 << 16, LONGEST = 1 << 22 };

static inline uint64_t stream_checksum(const struct stream_header *header)
{
    uint64_t sum = mix(header->magic + header->plan + ((uint64_t)header->incarnation << 32));
    return mix(mix(mix(sum + header->length) + header->position) + header->cut);
}

/* One end of an open stream. */
struct conversation {
    dcf_tb_stream stream;
    int on_resident;           /* false: a transient's, which the resident's statistics do not count */
    int may_break;         /* the plan has it closed early */
    uint64_t read_at;      /* position in the shared content of the next byte to read */
    uint64_t write_at;     /* and of the next byte to write */
    uint8_t piece[PIECE];
};

/* Each of these returns false, and logs the reason, when the stream is broken. A wrong byte ends the soak. */

/* Writes `length` bytes. */
int put_bytes(struct conversation *self, const void *data, size_t length);
/* Reads `length` bytes. */
int take_bytes(struct conversation *self, void *data, size_t length);
/* Writes content, or reads and checks it. */
int put_content(struct conversation *self, uint64_t length);
int take_content(struct conversation *self, uint64_t length);
/* `piece` must hold the next bytes of the content. */
void check_piece(struct conversation *self, size_t length);
/* The same through files. */
int put_file(struct conversation *self, uint64_t length);
int take_file(struct conversation *self, uint64_t length);
int put_end(struct conversation *self);
int take_end(struct conversation *self);

/* Reads and checks content until the stream ends or breaks, or `most` bytes have come. Returns their number. */
uint64_t take_until_end(struct conversation *self, uint64_t most);

/* Counts the outcome of a stream, unless its plan was to be closed early. */
void conclude_opened(const struct conversation *self, const struct stream_header *header, int whole);
void conclude_served(const struct conversation *self, const struct stream_header *header, int whole);

/* Creates the file that put_file sends from. */
void conversations_prepare(void);
void conversations_end(void);

#endif
