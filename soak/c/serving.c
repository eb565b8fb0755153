#include "serving.h"

#include "conversation.h"
#include "resident.h"

static int serving;

static int echo(struct conversation *self, uint64_t length)
{
    for (uint64_t done = 0; done < length;) {
        uint64_t part = length - done < PIECE ? length - done : PIECE;
        if (!take_content(self, part) || !put_content(self, part))
            return 0;
        done += part;
    }
    return take_end(self) && put_end(self);
}

static int receive(struct conversation *self, const struct stream_header *header)
{
    int taken = header->plan == UPLOAD ? take_content(self, header->length)
                                       : take_file(self, header->length);
    return taken && take_end(self) && put_bytes(self, &header->length, sizeof header->length) &&
           put_end(self);
}

static int provide(struct conversation *self, const struct stream_header *header)
{
    if (!take_end(self))
        return 0;
    int put = header->plan == DOWNLOAD ? put_content(self, header->length)
                                       : put_file(self, header->length);
    return put && put_end(self);
}

static int converse(struct conversation *self, const struct stream_header *header)
{
    switch ((enum plan)header->plan) {
    case ECHO:
    case DETACHED:
        return echo(self, header->length);
    case UPLOAD:
    case UPLOAD_FILE:
        return receive(self, header);
    case DOWNLOAD:
    case DOWNLOAD_FILE:
        return provide(self, header);
    case LEAVE:
        CHECK(take_until_end(self, header->length) <= header->cut);
        return 0;
    case BE_LEFT:
        (void)take_until_end(self, header->cut);
        return 0;
    default:
        CHECK(!"an unknown plan");
        return 0;
    }
}

/* Reads the header of a stream; false when it is not one of ours. */
static int begin(struct conversation *self, struct stream_header *header)
{
    self->may_break = 1;
    if (!take_bytes(self, header, sizeof *header) || header->magic != STREAM_MAGIC) {
        count(COUNT_streams_foreign, 1);
        return 0;
    }
    CHECK(header->checksum == stream_checksum(header));
    self->may_break = header->plan == LEAVE || header->plan == BE_LEFT;
    self->read_at = self->write_at = header->position;
    return 1;
}

void serve(dcf_tb_stream stream)
{
    struct stream_header header;
    struct conversation *self = (struct conversation *)malloc(sizeof *self);
    CHECK(self != NULL);
    add(&serving, 1);
    count(COUNT_streams_accepted, 1);
    self->stream = stream;
    self->on_resident = 1;
    if (begin(self, &header))
        conclude_served(self, &header, converse(self, &header));
    (void)dcf_tb_stream_close(stream); /* invalid after a reopening of the resident */
    free(self);
    add(&serving, -1);
}

void take_streams(struct worker *self)
{
    dcf_tb_stream stream = 0;
    dcf_tb_status status = dcf_tb_accept(resident(), 100, &stream);
    if (status == DCF_TB_ERR_TIMEOUT)
        return;
    if (fine(AT_accept, status))
        serve(stream);
    else
        rest(self, 50);
}

int serving_now(void)
{
    return value(&serving);
}
