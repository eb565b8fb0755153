/* Callbacks that do nothing, for programs that need some as arguments. */
#ifndef IDLE_CALLBACKS_H
#define IDLE_CALLBACKS_H

#include "check.h"

static void on_message(const uint8_t *message, size_t length, const char *sender, void *user_data)
{
    (void)message, (void)length, (void)sender, (void)user_data;
}
static void on_stream(dcf_tb_stream stream, const char *peer, void *user_data)
{
    (void)stream, (void)peer, (void)user_data;
}
static void on_log(int32_t level, const char *message, void *user_data)
{
    (void)level, (void)message, (void)user_data;
}
static void on_link(int32_t up, const char *name, void *user_data)
{
    (void)up, (void)name, (void)user_data;
}
static void on_peer(int32_t appeared, const char *peer, void *user_data)
{
    (void)appeared, (void)peer, (void)user_data;
}

#endif
