/* The event descriptor is readable exactly when recv or accept would not block. */
#include "check.h"

static int readable(int fd)
{
    struct pollfd entry = {fd, POLLIN, 0};
    int count = poll(&entry, 1, 0);
    CHECK(count >= 0);
    return count == 1 && (entry.revents & POLLIN) != 0;
}

static void becomes_readable(int fd)
{
    struct pollfd entry = {fd, POLLIN, 0};
    CHECK(poll(&entry, 1, GENEROUS_MS) == 1);
}

static void messages(dcf_tb_transport t, int fd)
{
    uint8_t buffer[16];
    size_t length = 0;

    TOPIC("messages: readable until the last one is received");
    for (int round = 0; round < 200; round++) {
        CHECK(!readable(fd));
        send_text(t, "::1%lo", "one");
        becomes_readable(fd);
        OK(dcf_tb_recv(t, buffer, sizeof buffer, &length, NULL, 0, 0));
    }
    for (int i = 0; i < 5; i++)
        send_text(t, "::1%lo", "many");
    for (int i = 0; i < 5; i++) {
        becomes_readable(fd);
        OK(dcf_tb_recv(t, buffer, sizeof buffer, &length, NULL, 0, 0));
    }
    CHECK(!readable(fd));
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_recv(t, buffer, sizeof buffer, &length, NULL, 0, 0));

    TOPIC("a message that stays queued because of a small buffer keeps it readable");
    send_text(t, "::1%lo", "long");
    becomes_readable(fd);
    GIVES(DCF_TB_ERR_BUFFER_TOO_SMALL, dcf_tb_recv(t, buffer, 1, &length, NULL, 0, 0));
    CHECK(readable(fd));
    expect_text(t, "long");
    CHECK(!readable(fd));

    TOPIC("an empty message makes it readable");
    OK(dcf_tb_send(t, "::1%lo", NULL, 0));
    becomes_readable(fd);
    OK(dcf_tb_recv(t, buffer, sizeof buffer, &length, NULL, 0, 0));
    CHECK(length == 0 && !readable(fd));

    TOPIC("pings do not make it readable");
    uint64_t rtt = 0;
    OK(dcf_tb_measure_rtt(t, "::1%lo", GENEROUS_MS, &rtt));
    CHECK(!readable(fd));
}

static void streams(dcf_tb_transport t, dcf_tb_transport from, int fd)
{
    TOPIC("streams: readable until the last one is accepted");
    dcf_tb_stream near_ends[3], far_end = 0;
    for (int i = 0; i < 3; i++)
        OK(dcf_tb_open_stream(from, peer_strings(t).data, GENEROUS_MS, &near_ends[i]));
    for (int i = 0; i < 3; i++) {
        becomes_readable(fd);
        OK(dcf_tb_accept(t, GENEROUS_MS, &far_end));
        OK(dcf_tb_stream_close(far_end));
        OK(dcf_tb_stream_close(near_ends[i]));
    }
    CHECK(!readable(fd));
    GIVES(DCF_TB_WOULD_BLOCK, dcf_tb_accept(t, 0, &far_end));

    TOPIC("a message and a stream: readable until both are taken");
    stream_pair pair;
    OK(dcf_tb_open_stream(from, peer_strings(t).data, GENEROUS_MS, &pair.near_end));
    becomes_readable(fd);
    send_text(from, peer_strings(t).control, "too");
    expect_text(t, "too");
    CHECK(readable(fd));
    OK(dcf_tb_accept(t, 0, &pair.far_end));
    CHECK(!readable(fd));
    close_pair(pair);
}

static void ignore(const uint8_t *message, size_t length, const char *sender, void *calls)
{
    (void)message, (void)length, (void)sender;
    add((int *)calls, 1);
}

static void with_callback(dcf_tb_transport t, int fd)
{
    TOPIC("not readable for messages that go to a callback, readable again after its removal");
    int calls = 0;
    send_text(t, "::1%lo", "queued");
    becomes_readable(fd);
    OK(dcf_tb_set_message_callback(t, ignore, &calls));
    EVENTUALLY(value(&calls) == 1);
    send_text(t, "::1%lo", "called");
    EVENTUALLY(value(&calls) == 2);
    CHECK(!readable(fd));
    OK(dcf_tb_set_message_callback(t, NULL, NULL));
    send_text(t, "::1%lo", "pulled");
    becomes_readable(fd);
    expect_text(t, "pulled");
    CHECK(!readable(fd));
}

static void *poll_forever(void *fd)
{
    struct pollfd entry = {*(int *)fd, POLLIN, 0};
    CHECK(poll(&entry, 1, GENEROUS_MS) != 0);
    return NULL;
}

int main(void)
{
    dcf_tb_transport t = start_on_loopback(), from = start_on_loopback();
    int32_t fd = -1, again = -1;
    OK(dcf_tb_event_fd(t, &fd));
    OK(dcf_tb_event_fd(t, &again));
    CHECK(fd >= 0 && fd == again);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    messages(t, fd);
    streams(t, from, fd);
    with_callback(t, fd);

    TOPIC("close wakes a poll on it, because recv no longer blocks");
    int polled = fd;
    pthread_t poller = start_thread(poll_forever, &polled);
    for (int i = 0; i < 20; i++)
        pause_briefly();
    OK(dcf_tb_close(t));
    join(poller);
    OK(dcf_tb_close(from));
    return 0;
}
