/* The yardstick of connecting: connect, accept, an echo of 64 bytes, with one thread per side.
 *
  *   count=N   number of connections
  *   burst=1   opens all of them at once, and keeps them open */
#include "connect.h"
#include "stream_c.h"

static bool keep;

static void *serve(void *argument)
{
    int listener = *(int *)argument, fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        uint8_t message[ECHO];
        if (recv(fd, message, ECHO, MSG_WAITALL) == ECHO)
            must(send(fd, message, ECHO, MSG_NOSIGNAL), "send");
        if (!keep)
            close(fd);
    }
    return NULL;
}

static void open_one(void *peer, uint64_t *connection)
{
    uint8_t message[ECHO], echoed[ECHO];
    int fd = stream_connect(peer);
    fill_message(message, ECHO);
    must(send(fd, message, ECHO, 0), "send");
    if (recv(fd, echoed, ECHO, MSG_WAITALL) != ECHO)
        fail("no echo");
    check_echo(message, echoed);
    *connection = (uint64_t)fd;
}

static void close_one(uint64_t connection)
{
    close((int)connection);
}

int main(int argc, char **argv)
{
    bool far = is_far(argc, argv);
    keep = number_argument(argv, "burst", 0) != 0;
    if (far) {
        int fd = raw_bound(SOCK_STREAM, DATA_PORT);
        stream_tune(fd);
        must(listen(fd, 4096), "listen");
        must_start(serve, &fd);
        say_ready();
        wait_for_end();
        return 0;
    }
    connect_run(open_one, close_one, argv);
    return 0;
}
