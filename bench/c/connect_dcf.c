/* Connecting with the library: dcf_tb_open_stream, dcf_tb_accept, an echo of 64 bytes.
 *
  *   callback=1   the far side serves in a stream callback
  *   other arguments as in connect_c.c */
#include "connect.h"
#include "dcf.h"

static bool keep;
static dcf_tb_transport transport;

static void echo(dcf_tb_stream stream, const char *peer, void *ignored)
{
    uint8_t message[ECHO];
    size_t size = 0, part;
    (void)peer;
    (void)ignored;
    while (size < ECHO && dcf_tb_stream_read(stream, message + size, ECHO - size,
                                             DCF_TB_WAIT_FOREVER, &part) == DCF_TB_OK)
        size += part;
    if (size == ECHO)
        dcf_must(dcf_tb_stream_write(stream, message, ECHO, DCF_TB_WAIT_FOREVER, &part),
                 "dcf_tb_stream_write");
    if (!keep)
        dcf_must(dcf_tb_stream_close(stream), "dcf_tb_stream_close");
}

static void *serve(void *ignored)
{
    dcf_tb_stream stream;
    while (dcf_tb_accept(transport, DCF_TB_WAIT_FOREVER, &stream) == DCF_TB_OK)
        echo(stream, NULL, NULL);
    return ignored;
}

static void open_one(void *peer, uint64_t *connection)
{
    uint8_t message[ECHO], echoed[ECHO];
    size_t size, part;
    dcf_tb_stream stream;
    dcf_must(dcf_tb_open_stream(transport, peer, 0, &stream), "dcf_tb_open_stream");
    fill_message(message, ECHO);
    dcf_must(dcf_tb_stream_write(stream, message, ECHO, DCF_TB_WAIT_FOREVER, &size),
             "dcf_tb_stream_write");
    for (size = 0; size < ECHO; size += part)
        dcf_must(dcf_tb_stream_read(stream, echoed + size, ECHO - size, DCF_TB_WAIT_FOREVER,
                                    &part),
                 "dcf_tb_stream_read");
    check_echo(message, echoed);
    *connection = stream;
}

static void close_one(uint64_t connection)
{
    dcf_must(dcf_tb_stream_close(connection), "dcf_tb_stream_close");
}

int main(int argc, char **argv)
{
    bool far = is_far(argc, argv);
    keep = number_argument(argv, "burst", 0) != 0;
    dcf_tb_config config = dcf_config(argv);
    config.max_streams = 4096;
    bool callback = number_argument(argv, "callback", 0) != 0;
    if (far && callback)
        config.on_stream = echo;
    transport = dcf_start(&config);
    if (far) {
        if (!callback)
            must_start(serve, NULL);
        say_ready();
        wait_for_end();
        return 0;
    }
    connect_run(open_one, close_one, argv);
    return 0;
}
