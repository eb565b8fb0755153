/* The library's side of the benchmark, through its C ABI. */
#ifndef DCF_H
#define DCF_H

#include "bench.h"
#include <dcf_thunderbolt.h>

static inline void dcf_must(dcf_tb_status status, const char *what)
{
    char text[512];
    if (status == DCF_TB_OK)
        return;
    dcf_tb_last_error(text, sizeof text);
    fail("%s: %s", what, text);
}

/* The default settings, with `busy_poll_us=N` from the arguments. */
static inline dcf_tb_config dcf_config(char **argv)
{
    dcf_tb_config config;
    dcf_must(dcf_tb_config_init(&config, sizeof config), "dcf_tb_config_init");
    config.busy_poll_us = (uint32_t)number_argument(argv, "busy_poll_us", config.busy_poll_us);
    return config;
}

static inline dcf_tb_transport dcf_start(const dcf_tb_config *config)
{
    dcf_tb_transport transport;
    dcf_must(dcf_tb_init(config, &transport), "dcf_tb_init");
    return transport;
}

#endif
