/* The log callback: levels, changes, and nothing on the standard outputs. */
#include "process.h"

typedef struct log_seen {
    int records[5];
    int below;
    int32_t lowest;
    /* Records that begin with each entry of `starts`. */
    int began[4];
} log_seen;

/* Programs look for records that begin like this. Each comes once for each transport. */
static const char *const starts[4] = {"Initialized interface lo", "UDP socket bound to port ",
                                      "TCP listener bound to port ", "Transport closed"};

static void on_log(int32_t level, const char *message, void *data)
{
    log_seen *seen = (log_seen *)data;
    CHECK(level >= DCF_TB_LOG_DEBUG && level <= DCF_TB_LOG_ERROR);
    CHECK(message != NULL && message[0] != '\0');
    CHECK(strchr(message, '\n') == NULL);
    if (level < seen->lowest)
        add(&seen->below, 1);
    add(&seen->records[level], 1);
    for (int i = 0; i < 4; i++) {
        if (strncmp(message, starts[i], strlen(starts[i])) == 0) {
            CHECK(level == DCF_TB_LOG_INFO);
            add(&seen->began[i], 1);
        }
    }
}

static int total(log_seen *seen)
{
    int sum = 0;
    for (int i = 1; i < 5; i++)
        sum += value(&seen->records[i]);
    return sum;
}

/* Opens, uses and closes a transport so that it logs at every level. */
static log_seen live(int32_t level)
{
    log_seen seen;
    memset(&seen, 0, sizeof seen);
    seen.lowest = level;
    dcf_tb_config config = loopback_config();
    config.log_level = level;
    config.on_log = on_log;
    config.user_data = &seen;
    dcf_tb_transport t = start(&config);
    send_text(t, "::1%lo", "hello");
    expect_text(t, "hello");
    CHECK(dcf_tb_send(t, "nonsense", NULL, 0) != DCF_TB_OK);
    stream_pair pair = connect_streams(t, t);
    OK(dcf_tb_stream_close(pair.near_end));
    OK(dcf_tb_close(t));
    CHECK(value(&seen.below) == 0);
    return seen;
}

/* Whether the next datagram in the socket equals this text, or begins with it. */
static int comes(int socket, const char *text, int whole)
{
    char event[1024];
    ssize_t length = recv(socket, event, sizeof event - 1, MSG_DONTWAIT);
    if (length < 0)
        return 0;
    event[length] = '\0';
    return strncmp(event, text, strlen(text)) == 0 && (!whole || strlen(text) == (size_t)length);
}

static void to_socket(void)
{
    TOPIC("ready-made callbacks send records and changes to a socket, in order");
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    dcf_tb_config config = loopback_config();
    config.on_log = dcf_tb_log_to_socket;
    config.on_link = dcf_tb_link_to_socket;
    config.user_data = (void *)(intptr_t)pair[0];
    dcf_tb_transport t = start(&config);
    int started = 0;
    while (comes(pair[1], "log 2 ", 0))
        started++;
    CHECK(started > 0 && !comes(pair[1], "", 0));
    dcf_tb_link_to_socket(0, "lo", config.user_data);
    dcf_tb_log_to_socket(DCF_TB_LOG_ERROR, "", config.user_data);
    dcf_tb_peer_to_socket(1, "fe80::1%lo", config.user_data);
    OK(dcf_tb_close(t));
    CHECK(comes(pair[1], "link 0 lo", 1) && comes(pair[1], "log 4 ", 1));
    CHECK(comes(pair[1], "peer 1 fe80::1%lo", 1));
    CHECK(comes(pair[1], "log 2 ", 0));

    TOPIC("a full socket, one without a reader and an invalid one do not block");
    for (int i = 0; i < 100000; i++)
        dcf_tb_log_to_socket(DCF_TB_LOG_DEBUG, "more than fits", config.user_data);
    close(pair[1]);
    dcf_tb_log_to_socket(DCF_TB_LOG_DEBUG, "no reader", config.user_data);
    close(pair[0]);
    dcf_tb_log_to_socket(DCF_TB_LOG_DEBUG, "closed socket", config.user_data);
    dcf_tb_link_to_socket(1, NULL, (void *)(intptr_t)-1);
    dcf_tb_log_to_socket(DCF_TB_LOG_DEBUG, NULL, (void *)-1);
}

int main(void)
{
    TOPIC("start and granted buffers are logged at level info, and levels filter");
    log_seen debug = live(DCF_TB_LOG_DEBUG), info = live(DCF_TB_LOG_INFO);
    log_seen warn = live(DCF_TB_LOG_WARN), error = live(DCF_TB_LOG_ERROR);
    CHECK(info.records[DCF_TB_LOG_INFO] > 0);
    CHECK(total(&debug) >= total(&info));
    CHECK(total(&info) > total(&warn));
    CHECK(total(&warn) >= total(&error));

    TOPIC("the records of starting and closing begin with the texts that programs look for");
    for (int i = 0; i < 4; i++)
        CHECK(info.began[i] == 1 && debug.began[i] == 1 && warn.began[i] == 0);

    TOPIC("a log callback can be set, replaced and removed");
    log_seen first, second;
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    dcf_tb_config config = loopback_config();
    config.log_level = DCF_TB_LOG_DEBUG;
    config.on_log = on_log;
    config.user_data = &first;
    dcf_tb_transport t = start(&config);
    CHECK(total(&first) > 0);
    OK(dcf_tb_set_log_callback(t, on_log, &second));
    int before = total(&first);
    OK(dcf_tb_set_log_callback(t, NULL, NULL));
    int between = total(&second);
    OK(dcf_tb_close(t));
    CHECK(total(&first) == before && total(&second) == between);
    to_socket();
    return 0;
}
