/* The protocol of stream_file_send and stream_file_receive. A stream carries only the
      bytes that are written to it, so programs define their own protocol:

       sender      size of the file, the file
       receiver    number of bytes that have arrived and are in the file

   Both numbers are 8 bytes, big-endian. The size goes first because the end of a stream
      does not show whether the sender had finished or died. The answer is needed because sent is
   not arrived: the last megabytes may still be in a buffer, or the other disk be full. */
#ifndef STREAM_FILE_H
#define STREAM_FILE_H

#include "example.h"

static inline void write_number(dcf_tb_stream stream, uint64_t value)
{
    uint8_t bytes[8];
    size_t i;

    for (i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(value >> (56 - 8 * i));
    check(dcf_tb_stream_write(stream, bytes, sizeof bytes, DCF_TB_WAIT_FOREVER, &i)); /* writes all */
}

static inline uint64_t read_number(dcf_tb_stream stream)
{
    uint8_t bytes[8];
    size_t have = 0, got, i;
    uint64_t value = 0;

    while (have < sizeof bytes) { /* a read gives what there is, one byte or more */
        check(dcf_tb_stream_read(stream, bytes + have, sizeof bytes - have, DCF_TB_WAIT_FOREVER, &got));
        have += got;
    }
    for (i = 0; i < sizeof bytes; i++)
        value = value << 8 | bytes[i];
    return value;
}

#endif
