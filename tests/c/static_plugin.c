/* The plugin of an application, linked with the static library. */
#include "dcf_thunderbolt.h"

#include <stdio.h>

static int received;

static void on_message(const uint8_t *message, size_t length, const char *sender, void *user_data)
{
    (void)message, (void)length, (void)sender, (void)user_data;
    __atomic_add_fetch(&received, 1, __ATOMIC_SEQ_CST);
}

/* Starts a transport; 0 on failure. */
dcf_tb_transport plugin_start(void)
{
    dcf_tb_config config;
    dcf_tb_transport transport = 0;
    if (dcf_tb_config_init(&config, sizeof config) != DCF_TB_OK)
        return 0;
    config.interface_name = "lo";
    config.control_port = config.data_port = 0;
    config.on_message = on_message;
    return dcf_tb_init(&config, &transport) == DCF_TB_OK ? transport : 0;
}

/* Sends a message to itself. Returns the number received so far, or -1. */
int plugin_send(dcf_tb_transport transport)
{
    uint16_t control = 0, data = 0;
    char self[40];
    if (dcf_tb_ports(transport, &control, &data) != DCF_TB_OK)
        return -1;
    snprintf(self, sizeof self, "[::1%%lo]:%u", (unsigned)control);
    if (dcf_tb_send(transport, self, (const uint8_t *)"x", 1) != DCF_TB_OK)
        return -1;
    return __atomic_load_n(&received, __ATOMIC_SEQ_CST);
}

int plugin_stop(dcf_tb_transport transport)
{
    return dcf_tb_close(transport);
}
