/* Programs started beside transports by vfork, posix_spawn, system and popen inherit no descriptors. */
#include "process.h"

#include <spawn.h>

extern char **environ;

static dcf_tb_transport t, other;
static stream_pair pair;
static int stop;

/* Lists its descriptors. The descriptor of the listing is closed before they are checked. */
#define SCRIPT                                                                           \
    "for fd in /proc/self/fd/*; do case $fd in */0|*/1|*/2) ;; *) [ -e $fd ] && exit 1 ;; " \
    "esac; done; exit 0"

static void ended_well(int status)
{
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void works(void)
{
    uint64_t rtt = 0;
    char text[4];
    send_text(t, peer_strings(other).control, "works");
    expect_text(other, "works");
    OK(dcf_tb_measure_rtt(t, peer_strings(other).control, GENEROUS_MS, &rtt));
    write_all(pair.near_end, "four", 4);
    read_exactly(pair.far_end, text, 4);
}

static void by_vfork(void)
{
    int status = -1;
    pid_t child = vfork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", SCRIPT, (char *)NULL);
        _exit(127);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    ended_well(status);
}

static void by_posix_spawn(void)
{
    char *arguments[] = {(char *)"sh", (char *)"-c", (char *)SCRIPT, NULL};
    pid_t child = 0;
    int status = -1;
    CHECK(posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environ) == 0);
    CHECK(waitpid(child, &status, 0) == child);
    ended_well(status);
}

static void by_system(void)
{
    ended_well(system(SCRIPT));
}

static void by_popen(void)
{
    char line[16] = "";
    FILE *output = popen("echo spoken", "re");
    CHECK(output != NULL && fgets(line, sizeof line, output) != NULL);
    CHECK(strcmp(line, "spoken\n") == 0);
    ended_well(pclose(output));
}

static void *traffic(void *unused)
{
    while (!value(&stop)) {
        uint64_t rtt = 0;
        OK(dcf_tb_measure_rtt(t, "::1%lo", GENEROUS_MS, &rtt));
        OK(dcf_tb_close(start_on_loopback())); /* opens and closes descriptors */
    }
    return unused;
}

int main(void)
{
    void (*const ways[])(void) = {by_vfork, by_posix_spawn, by_system, by_popen};
    const char *const names[] = {"vfork", "posix_spawn", "system", "popen"};
    CHECK(close_range(3, ~0u, 0) == 0); /* inherited descriptors */
    t = start_on_loopback();
    other = start_on_loopback();
    pair = connect_streams(t, other);
    pthread_t thread = start_thread(traffic, NULL);
    for (int i = 0; i < 4; i++) {
        printf("- %s\n", names[i]);
        for (int round = 0; round < 10; round++) {
            ways[i]();
            works();
        }
    }
    set(&stop, 1);
    join(thread);
    OK(dcf_tb_close(t));
    OK(dcf_tb_close(other));
    return 0;
}
