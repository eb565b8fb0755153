/*
  * Starts just after the cable was plugged in, before any address is usable. Argument: the other
  * host's address.
 */
#include "check.h"

int main(int count, char **arguments)
{
    CHECK(count == 2);
    dcf_tb_config config;
    OK(dcf_tb_config_init(&config, sizeof config));
    config.wait_for_interface = 1;
    dcf_tb_transport t = start(&config);

    TOPIC("calls give LINK_DOWN until the link is usable, then they work");
    uint8_t text[8];
    size_t length = 0;
    uint64_t began = milliseconds();
    for (;;) {
        dcf_tb_status status = dcf_tb_send(t, arguments[1], (const uint8_t *)"hello", 5);
        CHECK(status == DCF_TB_OK || status == DCF_TB_ERR_LINK_DOWN);
        status = dcf_tb_recv(t, text, sizeof text, &length, NULL, 0, 10);
        if (status == DCF_TB_OK)
            break;
        CHECK(status == DCF_TB_ERR_TIMEOUT || status == DCF_TB_ERR_LINK_DOWN);
        CHECK(milliseconds() - began < GENEROUS_MS);
    }
    CHECK(length == 5 && memcmp(text, "hello", 5) == 0);
    OK(dcf_tb_close(t));
    return 0;
}
