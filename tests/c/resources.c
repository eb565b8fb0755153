/* Threads that the library adds to a process have names, and its descriptors are not inherited. */
#include "process.h"

static int handlers, let_go;

static void stay(dcf_tb_stream stream, const char *peer, void *unused)
{
    (void)peer, (void)unused;
    add(&handlers, 1);
    EVENTUALLY(value(&let_go));
    (void)dcf_tb_stream_close(stream); /* the transport may be closing it, too */
}

static void say_name(int thread, const char *name, void *unused)
{
    (void)unused;
    printf("  thread %d is %s\n", thread, name);
}

static void all_close_on_exec(void)
{
    struct dirent *entry;
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory != NULL);
    while ((entry = readdir(directory)) != NULL) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd <= 2)
            continue;
        int flags = fcntl(fd, F_GETFD);
        if ((flags & FD_CLOEXEC) == 0)
            printf("  descriptor %d stays open\n", fd);
        CHECK((flags & FD_CLOEXEC) != 0);
    }
    closedir(directory);
}

int main(void)
{
    CHECK(close_range(3, ~0u, 0) == 0); /* inherited descriptors */

    TOPIC("every thread that the library adds is named dcf-tb-...");
    int before = count_threads();
    dcf_tb_transport a = start_on_loopback(), b = start_on_loopback();
    OK(dcf_tb_set_stream_callback(b, stay, NULL));
    dcf_tb_stream streams[3];
    for (int i = 0; i < 3; i++)
        OK(dcf_tb_open_stream(a, peer_strings(b).data, GENEROUS_MS, &streams[i]));
    EVENTUALLY(value(&handlers) == 3);
    uint64_t rtt;
    size_t count;
    dcf_tb_peer found;
    OK(dcf_tb_measure_rtt(a, peer_strings(b).control, GENEROUS_MS, &rtt));
    OK(dcf_tb_discover(a, 1, &found, 1, &count));
    /* A thread sets its name when it begins to run. */
    EVENTUALLY(count_threads() == before + each_library_thread(NULL, NULL));
    CHECK(each_library_thread(say_name, NULL) >= 5);

    TOPIC("every descriptor is closed on exec");
    int32_t fd;
    OK(dcf_tb_event_fd(a, &fd));
    all_close_on_exec();

    TOPIC("close leaves no threads and no descriptors");
    int descriptors = count_descriptors();
    set(&let_go, 1);
    OK(dcf_tb_close(b));
    OK(dcf_tb_close(a));
    EVENTUALLY(count_threads() == before);
    CHECK(count_descriptors() < descriptors);
    return 0;
}
