/*
  * The other host of the two-host tests: echoes messages and streams, whatever happens to the cable.
  * It asks "ready" when it is ready, and ends when it gets the answer.
 */
#include "check.h"

static dcf_tb_transport transport;

static void echo_message(const uint8_t *message, size_t length, const char *sender, void *data)
{
    (void)data;
    /* This may fail: tests take the link away at any moment. */
    (void)dcf_tb_send(transport, sender, message, length);
}

static void echo_stream(dcf_tb_stream stream, const char *peer, void *data)
{
    static const size_t size = 1 << 16;
    uint8_t *buffer = (uint8_t *)malloc(size);
    size_t count = 0, written = 0;
    dcf_tb_status status;
    (void)peer, (void)data;
    CHECK(buffer != NULL);
    do {
        status = dcf_tb_stream_read(stream, buffer, size, DCF_TB_WAIT_FOREVER, &count);
        if (status == DCF_TB_OK)
            status = dcf_tb_stream_write(stream, buffer, count, DCF_TB_WAIT_FOREVER, &written);
    } while (status == DCF_TB_OK);
    free(buffer);
    (void)dcf_tb_stream_close(stream);
}

int main(void)
{
    dcf_tb_config config;
    OK(dcf_tb_config_init(&config, sizeof config));
    config.wait_for_interface = 1;
    transport = start(&config);
    OK(dcf_tb_set_message_callback(transport, echo_message, NULL));
    OK(dcf_tb_set_stream_callback(transport, echo_stream, NULL));
    request("ready");
    OK(dcf_tb_close(transport));
    return 0;
}
