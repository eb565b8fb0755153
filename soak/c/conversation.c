#include "conversation.h"

#include "workers.h"

#include <sys/mman.h>

/* A file with the shared content, from its beginning. */
static int content_file = -1;

static int good(const struct conversation *self, enum place place, dcf_tb_status status)
{
    if (!self->on_resident)
        return fine(AT_transient, status);
    return self->may_break ? fine_or_planned(status) : fine(place, status);
}

static void count_bytes(const struct conversation *self, enum count which, uint64_t bytes)
{
    if (self->on_resident)
        count(which, bytes);
}

int put_bytes(struct conversation *self, const void *data, size_t length)
{
    size_t written = 0;
    dcf_tb_status status = dcf_tb_stream_write(self->stream, (const uint8_t *)data, length,
                                               GENEROUS_MS, &written);
    CHECK(written <= length);
    CHECK(status != DCF_TB_OK || written == length);
    count_bytes(self, COUNT_stream_bytes_written, written);
    return good(self, AT_write, status);
}

/* Reads available bytes, up to `most`; 0 when the stream is broken or at its end. */
static size_t take_some(struct conversation *self, void *data, size_t most)
{
    size_t got = 0;
    workers_stall();
    dcf_tb_status status =
        dcf_tb_stream_read(self->stream, (uint8_t *)data, most, GENEROUS_MS, &got);
    if (!good(self, AT_read, status))
        return 0;
    CHECK(got > 0 && got <= most);
    count_bytes(self, COUNT_stream_bytes_read, got);
    return got;
}

int take_bytes(struct conversation *self, void *data, size_t length)
{
    size_t done = 0, got = 1;
    while (done < length && got > 0) {
        got = take_some(self, (uint8_t *)data + done, length - done);
        done += got;
    }
    return done == length;
}

static size_t piece_of(uint64_t length)
{
    return length < PIECE ? (size_t)length : PIECE;
}

int put_content(struct conversation *self, uint64_t length)
{
    while (length > 0) {
        size_t part = piece_of(length);
        content_fill(self->piece, part, STREAM_SEED, self->write_at);
        if (!put_bytes(self, self->piece, part))
            return 0;
        self->write_at += part;
        length -= part;
    }
    return 1;
}

void check_piece(struct conversation *self, size_t length)
{
    size_t wrong = content_wrong_at(self->piece, length, STREAM_SEED, self->read_at);
    if (wrong < length) {
        char text[128];
        snprintf(text, sizeof text, "byte %" PRIu64 " of the content is right (received 0x%02X)",
                 self->read_at + wrong, self->piece[wrong]);
        check_failed(__FILE__, __LINE__, text, NULL, DCF_TB_OK);
    }
    self->read_at += length;
}

/* A stream that breaks must have delivered correct content up to that point. */
uint64_t take_until_end(struct conversation *self, uint64_t most)
{
    uint64_t done = 0;
    size_t got;
    while (done < most && (got = take_some(self, self->piece, piece_of(most - done))) > 0) {
        check_piece(self, got);
        done += got;
    }
    return done;
}

int take_content(struct conversation *self, uint64_t length)
{
    return take_until_end(self, length) == length;
}

int put_file(struct conversation *self, uint64_t length)
{
    uint64_t sent = 0;
    dcf_tb_status status = dcf_tb_stream_send_file(self->stream, content_file, self->write_at,
                                                   length, GENEROUS_MS, &sent);
    CHECK(sent <= length);
    CHECK(status != DCF_TB_OK || sent == length);
    CHECK(status != DCF_TB_EOF); /* the file is long enough */
    count_bytes(self, COUNT_stream_bytes_written, sent);
    self->write_at += sent;
    return good(self, AT_file, status);
}

static void check_file(struct conversation *self, int file, uint64_t length)
{
    for (uint64_t done = 0; done < length;) {
        size_t part = piece_of(length - done);
        CHECK(pread(file, self->piece, part, (off_t)done) == (ssize_t)part);
        check_piece(self, part);
        done += part;
    }
}

int take_file(struct conversation *self, uint64_t length)
{
    uint64_t received = 0;
    int file = memfd_create("received", MFD_CLOEXEC);
    if (file < 0) {
        CHECK(errno == EMFILE);
        note("no descriptor for a file: closing the stream early");
        return 0;
    }
    dcf_tb_status status = dcf_tb_stream_receive_file(self->stream, file, 0, length, GENEROUS_MS,
                                                      &received);
    CHECK(received <= length);
    CHECK(status != DCF_TB_OK || received == length);
    count_bytes(self, COUNT_stream_bytes_read, received);
    /* The file has as many bytes as the library counted, and they are right. */
    check_file(self, file, received);
    close(file);
    return good(self, AT_file, status);
}

int put_end(struct conversation *self)
{
    return good(self, AT_finish, dcf_tb_stream_finish(self->stream));
}

int take_end(struct conversation *self)
{
    uint8_t more;
    size_t got = 0;
    dcf_tb_status status = dcf_tb_stream_read(self->stream, &more, 1, GENEROUS_MS, &got);
    CHECK(status != DCF_TB_OK);
    return status == DCF_TB_EOF || good(self, AT_read, status);
}

void conclude_opened(const struct conversation *self, const struct stream_header *header, int whole)
{
    if (self->may_break)
        return;
    count(whole ? COUNT_opened_whole : COUNT_opened_broken, 1);
    count(COUNT_opened_whole_bytes, whole ? header->length : 0);
}

void conclude_served(const struct conversation *self, const struct stream_header *header, int whole)
{
    if (self->may_break)
        return;
    count(whole ? COUNT_served_whole : COUNT_served_broken, 1);
    count(COUNT_served_whole_bytes, whole ? header->length : 0);
}

void conversations_prepare(void)
{
    uint8_t piece[4096];
    content_file = memfd_create("content", MFD_CLOEXEC);
    CHECK(content_file >= 0);
    for (uint64_t at = 0; at < 2 * LONGEST; at += sizeof piece) {
        content_fill(piece, sizeof piece, STREAM_SEED, at);
        CHECK(pwrite(content_file, piece, sizeof piece, (off_t)at) == (ssize_t)sizeof piece);
    }
}

void conversations_end(void)
{
    CHECK(close(content_file) == 0);
}
