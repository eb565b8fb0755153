/* Status texts, and the thread's last error. */
#include "raw.h"

static const dcf_tb_status all[] = {
    DCF_TB_OK, DCF_TB_WOULD_BLOCK, DCF_TB_CANCELLED, DCF_TB_EOF,
    DCF_TB_ERR_NULL_POINTER, DCF_TB_ERR_OUT_OF_MEMORY, DCF_TB_ERR_BUFFER_TOO_SMALL,
    DCF_TB_ERR_CONFIG_INVALID, DCF_TB_ERR_SOCKET_OPTION, DCF_TB_ERR_CONNECTION_REFUSED,
    DCF_TB_ERR_INTERFACE_NOT_FOUND, DCF_TB_ERR_CONNECTION_FAILED, DCF_TB_ERR_CONNECTION_RESET,
    DCF_TB_ERR_HOST_UNREACHABLE, DCF_TB_ERR_LINK_DOWN, DCF_TB_ERR_CONNECTION_ABORTED,
    DCF_TB_ERR_TOO_MANY_CONNECTIONS, DCF_TB_ERR_ADDRESS_IN_USE, DCF_TB_ERR_INVALID_MESSAGE,
    DCF_TB_ERR_MESSAGE_TOO_LARGE, DCF_TB_ERR_FORKED, DCF_TB_ERR_NOT_INITIALIZED,
    DCF_TB_ERR_SHUTDOWN, DCF_TB_ERR_PERMISSION_DENIED, DCF_TB_ERR_INVALID_ADDRESS,
    DCF_TB_ERR_OUT_OF_RANGE, DCF_TB_ERR_INVALID_HANDLE, DCF_TB_ERR_IO, DCF_TB_ERR_BROKEN_PIPE,
    DCF_TB_ERR_TIMEOUT, DCF_TB_ERR_TOO_MANY_FILES, DCF_TB_ERR_QUEUE_FULL, DCF_TB_ERR_THREAD,
    DCF_TB_ERR_PANIC,
};
enum { ALL = sizeof all / sizeof all[0] };

static void texts(void)
{
    TOPIC("every status has a static text of its own");
    for (int i = 0; i < ALL; i++) {
        const char *text = dcf_tb_status_string(all[i]);
        CHECK(text != NULL && text[0] != '\0');
        CHECK(text == dcf_tb_status_string(all[i]));
        for (int j = 0; j < i; j++)
            CHECK(strcmp(text, dcf_tb_status_string(all[j])) != 0);
    }

    TOPIC("an unknown status has a text too");
    const dcf_tb_status others[] = {1, 0x0101, -1, INT32_MAX, INT32_MIN, 0x10000};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        CHECK(dcf_tb_status_string(others[i])[0] != '\0');
}

static void *on_another_thread(void *unused)
{
    char text[64] = "x";
    (void)unused;
    CHECK(dcf_tb_last_error(text, sizeof text) == 0);
    CHECK(text[0] == '\0');
    CHECK(dcf_tb_last_errno() == 0);
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_close(0));
    CHECK(dcf_tb_last_error(text, sizeof text) > 0);
    return NULL;
}

static void last_error(void)
{
    TOPIC("a thread without a failure has no last error");
    join(start_thread(on_another_thread, NULL));

    TOPIC("the last error names the offending value");
    dcf_tb_config config = loopback_config();
    dcf_tb_transport transport = start_on_own_ports(&config);
    GIVES(DCF_TB_ERR_INVALID_ADDRESS, dcf_tb_send(transport, "not-an-address", NULL, 0));
    CHECK(error_says("not-an-address"));
    CHECK(dcf_tb_last_errno() == 0);

    TOPIC("the last error belongs to its thread, and a success does not change it");
    join(start_thread(on_another_thread, NULL));
    CHECK(error_says("not-an-address"));

    TOPIC("a buffer of any size gets a terminated part of it, and the full length is returned");
    char whole[512], part[512];
    size_t length = dcf_tb_last_error(whole, sizeof whole);
    CHECK(length == strlen(whole) && length > 20);
    CHECK(dcf_tb_last_error(NULL, 0) == length);
    for (size_t cap = 1; cap <= length + 2; cap++) {
        memset(part, 'x', sizeof part);
        CHECK(dcf_tb_last_error(part, cap) == length);
        size_t kept = cap > length ? length : cap - 1;
        CHECK(strlen(part) == kept);
        CHECK(memcmp(part, whole, kept) == 0);
        CHECK(part[kept + 1] == 'x');
    }

    TOPIC("a value that is not UTF-8 is refused, and the error is readable");
    GIVES(DCF_TB_ERR_INVALID_ADDRESS, dcf_tb_send(transport, "\xFF\xC0%lo", NULL, 0));
    CHECK(dcf_tb_last_error(whole, sizeof whole) > 0);

    TOPIC("the operating system's error is included as text and number");
    dcf_tb_stream stream = 0;
    uint16_t closed_port = data_port(transport);
    char peer[80];
    dcf_tb_transport other = start_on_loopback();
    snprintf(peer, sizeof peer, "[::1%%lo]:%u", closed_port);
    OK(dcf_tb_close(transport));
    GIVES(DCF_TB_ERR_CONNECTION_REFUSED, dcf_tb_open_stream(other, peer, GENEROUS_MS, &stream));
    CHECK(dcf_tb_last_errno() == ECONNREFUSED);
    CHECK(error_says("::1%lo"));
    OK(dcf_tb_close(other));
}

/* The last error of a timeout. */
static void time_outs(void)
{
    TOPIC("a timeout reports what the call waited for, and how long");
    dcf_tb_transport t = start_on_loopback();
    stream_pair pair = connect_streams(t, t);
    uint8_t in[64];
    size_t length = 0;
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_recv(t, in, sizeof in, &length, NULL, 0, 21));
    CHECK(error_says("no message came to control port") && error_says("within 21 ms"));
    dcf_tb_stream stream = 0;
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_accept(t, 22, &stream));
    CHECK(error_says("data port") && error_says("within 22 ms"));
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_stream_read(pair.near_end, in, sizeof in, 23, &length));
    CHECK(error_says("no data came from [::1%lo]:") && error_says("within 23 ms"));

    TOPIC("a timeout names the peer that did not answer");
    int silent = raw_socket(SOCK_DGRAM, "::1", 0);
    char peer[80];
    snprintf(peer, sizeof peer, "[::1%%lo]:%u", raw_port(silent));
    uint64_t rtt = 0;
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_measure_rtt(t, peer, 24, &rtt));
    CHECK(error_says(peer) && error_says("to a ping within 24 ms"));
    close(silent);

    TOPIC("a timeout does not repeat the text of an earlier failure");
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_recv(t, in, sizeof in, &length, NULL, 0, 25));
    GIVES(DCF_TB_ERR_INVALID_ADDRESS, dcf_tb_send(t, "elsewhere", NULL, 0));
    CHECK(error_says("elsewhere") && !error_says("within"));
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_recv(t, in, sizeof in, &length, NULL, 0, 0));
    CHECK(!error_says("within"));
    GIVES(DCF_TB_ERR_TIMEOUT, dcf_tb_recv(t, in, sizeof in, &length, NULL, 0, 26));
    CHECK(error_says("within 26 ms"));
    OK(dcf_tb_close(t));
    GIVES(DCF_TB_ERR_INVALID_HANDLE, dcf_tb_recv(t, in, sizeof in, &length, NULL, 0, 27));
    CHECK(!error_says("within"));
}

int main(void)
{
    texts();
    last_error();
    time_outs();
    return 0;
}
