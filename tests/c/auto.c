/*
  * interface_name "auto". The test that started this program prepares the interfaces and their
  * entries in sysfs. Argument: the other host's address.
 */
#include "check.h"

static char waiting_for[512];

static void on_log(int32_t level, const char *message, void *data)
{
    (void)level, (void)data;
    if (strstr(message, "is down") != NULL)
        snprintf(waiting_for, sizeof waiting_for, "%s", message);
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    dcf_tb_config config;
    dcf_tb_transport t = 0;
    OK(dcf_tb_config_init(&config, sizeof config));
    config.interface_name = "auto";
    config.on_log = on_log;

    TOPIC("no cable: the error says what is missing, and lists the interfaces");
    GIVES(DCF_TB_ERR_INTERFACE_NOT_FOUND, dcf_tb_init(&config, &t));
    CHECK(error_says("thunderbolt-net") && error_says("lo"));

    TOPIC("two cables: the error names both");
    request("two");
    GIVES(DCF_TB_ERR_INTERFACE_NOT_FOUND, dcf_tb_init(&config, &t));
    CHECK(error_says("cable0, thunderbolt0"));

    TOPIC("two cables and wait_for_interface: calls and the log give the reason until only one is left");
    config.wait_for_interface = 1;
    OK(dcf_tb_init(&config, &t));
    GIVES(DCF_TB_ERR_LINK_DOWN, dcf_tb_send(t, "fe80::1", (const uint8_t *)"x", 1));
    CHECK(error_says("cable0, thunderbolt0"));
    CHECK(strstr(waiting_for, "cable0, thunderbolt0") != NULL);
    request("one");
    EVENTUALLY(stats_of(t).link_up == 1);
    char name[16];
    size_t length = 0;
    OK(dcf_tb_interface(t, name, sizeof name, &length));
    CHECK(strcmp(name, "thunderbolt0") == 0);

    TOPIC("auto chooses the cable, and no other network");
    uint64_t rtt = 0;
    OK(dcf_tb_measure_rtt(t, arguments[1], GENEROUS_MS, &rtt));
    OK(dcf_tb_close(t));
    return 0;
}
