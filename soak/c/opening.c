#include "opening.h"

#include "resident.h"
#include "messages.h"

/* The plan of the next stream. */
static struct stream_header plan(struct worker *self, enum plan plan, uint64_t longest)
{
    /* Mostly short: each order of magnitude is equally likely. */
    uint64_t length = below(self, (longest >> below(self, 20)) + 1);
    struct stream_header header = {STREAM_MAGIC, plan, incarnation, length,
                                   below(self, LONGEST), below(self, length + 1), 0};
    header.checksum = stream_checksum(&header);
    return header;
}

static int echo(struct conversation *self, uint64_t length)
{
    for (uint64_t done = 0; done < length;) {
        uint64_t part = length - done < PIECE ? length - done : PIECE;
        if (!put_content(self, part) || !take_content(self, part))
            return 0;
        done += part;
    }
    return put_end(self) && take_end(self);
}

static int upload(struct conversation *self, const struct stream_header *header)
{
    uint64_t receipt = 0;
    int put = header->plan == UPLOAD ? put_content(self, header->length)
                                     : put_file(self, header->length);
    if (!put || !put_end(self) || !take_bytes(self, &receipt, sizeof receipt))
        return 0;
    CHECK(receipt == header->length);
    return take_end(self);
}

static int download(struct conversation *self, const struct stream_header *header)
{
    if (!put_end(self))
        return 0;
    int taken = header->plan == DOWNLOAD ? take_content(self, header->length)
                                         : take_file(self, header->length);
    return taken && take_end(self);
}

/* Closes in the middle of the content: with a regular end of stream, or with a reset. */
static void leave(struct worker *worker, struct conversation *self, uint64_t cut)
{
    struct linger at_once = {1, 0};
    int32_t fd;
    if (put_content(self, cut) && once_in(worker, 2) && dcf_tb_stream_fd(self->stream, &fd) == 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/* Reads or writes by system calls, which signals may interrupt. Returns the bytes before the end or a failure. */
static size_t plain(int fd, uint8_t *data, size_t length, int out)
{
    size_t done = 0;
    ssize_t count = 1;
    while (done < length && count != 0) {
        count = out ? send(fd, data + done, length - done, MSG_NOSIGNAL)
                    : recv(fd, data + done, length - done, 0);
        if (count > 0)
            done += (size_t)count;
        else if (count < 0 && errno != EINTR)
            break;
    }
    return done;
}

/* Echo over a plain descriptor, in blocking mode. */
static int detached(struct conversation *self, uint64_t length)
{
    struct timeval limit = {GENEROUS_MS / 1000, 0};
    int32_t fd = -1;
    int well = 1;
    if (!fine(AT_detach, dcf_tb_stream_detach(self->stream, &fd)))
        return 0;
    self->stream = 0;
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    for (uint64_t done = 0; done < length && well;) {
        size_t part = length - done < PIECE ? (size_t)(length - done) : PIECE;
        content_fill(self->piece, part, STREAM_SEED, self->write_at + done);
        well = plain(fd, self->piece, part, 1) == part && plain(fd, self->piece, part, 0) == part;
        if (well)
            check_piece(self, part);
        done += part;
    }
    well = well && shutdown(fd, SHUT_WR) == 0 && plain(fd, self->piece, 1, 0) == 0;
    CHECK(close(fd) == 0);
    return well;
}

/* Whether the stream came to its planned end. Both sides see that end. */
static int converse(struct worker *worker, struct conversation *self,
                    const struct stream_header *header)
{
    self->read_at = self->write_at = header->position;
    self->may_break = header->plan == LEAVE || header->plan == BE_LEFT;
    if (!put_bytes(self, header, sizeof *header))
        return 0;
    switch ((enum plan)header->plan) {
    case ECHO:
        return echo(self, header->length);
    case DETACHED:
        return detached(self, header->length);
    case UPLOAD:
    case UPLOAD_FILE:
        return upload(self, header);
    case DOWNLOAD:
    case DOWNLOAD_FILE:
        return download(self, header);
    case LEAVE:
        leave(worker, self, header->cut);
        return 0;
    default: /* BE_LEFT */
        (void)put_content(self, header->length);
        (void)take_until_end(self, 1);
        return 0;
    }
}

static struct conversation *conversation_of(struct worker *self)
{
    if (self->memory == NULL)
        self->memory = malloc(sizeof(struct conversation));
    CHECK(self->memory != NULL);
    return (struct conversation *)self->memory;
}

void open_streams(struct worker *worker)
{
    struct conversation *self = conversation_of(worker);
    rest(worker, 60);
    self->on_resident = 1;
    if (!fine(AT_open, dcf_tb_open_stream(resident(), peer, GENEROUS_MS, &self->stream)))
        return;
    count(COUNT_streams_opened, 1);
    struct stream_header header = plan(worker, (enum plan)below(worker, PLANS), LONGEST);
    conclude_opened(self, &header, converse(worker, self, &header));
    /* The handle is invalid after a detach, or after a reopening of the resident. */
    if (self->stream != 0)
        (void)dcf_tb_stream_close(self->stream);
}

int converse_on_transient(struct worker *worker, dcf_tb_stream stream)
{
    struct conversation *self = conversation_of(worker);
    struct stream_header header = plan(worker, ECHO, PIECE);
    self->stream = stream;
    self->on_resident = 0;
    int whole = converse(worker, self, &header);
    conclude_opened(self, &header, whole);
    return whole;
}
