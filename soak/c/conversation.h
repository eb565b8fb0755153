/* A stream between this host and the peer's, and what both have agreed to do on it. */
#ifndef CONVERSATION_H
#define CONVERSATION_H

#include "content.h"
#include "counts.h"

/* What the one who opened a stream plans. */
enum plan {
    ECHO,       /* content goes forth and comes back, piece by piece */
    DETACHED,   /* the same, over the descriptor that was taken out of the library */
    UPLOAD,     /* content, the end, and a receipt back */
    UPLOAD_FILE,
    DOWNLOAD,   /* the end at once, and content back */
    DOWNLOAD_FILE,
    LEAVE,      /* the opener closes amid its content */
    BE_LEFT,    /* the other one does */
    PLANS
};

/* The first bytes of every stream of ours. */
struct stream_header {
    uint64_t magic;
    uint32_t plan, incarnation;
    uint64_t length;   /* of the content */
    uint64_t position; /* in the content that all streams share, of its first byte */
    uint64_t cut;      /* bytes after which the stream is left */
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

/* One end of a stream, under way. */
struct conversation {
    dcf_tb_stream stream;
    int at_home;           /* else it is a guest's, and home's statistics know nothing of it */
    int may_break;         /* as planned */
    uint64_t read_at;      /* where in the shared content the next byte is that comes */
    uint64_t write_at;     /* and that goes */
    uint8_t piece[PIECE];
};

/* Each of these is false when the stream is broken; why is noted. A byte that is wrong ends the soak. */

/* Writes bytes as they are. */
int put_bytes(struct conversation *self, const void *data, size_t length);
/* Reads as many bytes. */
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

/* Reads and checks content until the stream ends, well or not, or `most` have come. Gives how many. */
uint64_t take_until_end(struct conversation *self, uint64_t most);

/* Counts how it went, of those whose plan was to come to an end. */
void conclude_opened(const struct conversation *self, const struct stream_header *header, int whole);
void conclude_served(const struct conversation *self, const struct stream_header *header, int whole);

/* Makes the file that put_file sends from. */
void conversations_prepare(void);
void conversations_end(void);

#endif
