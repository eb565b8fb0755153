/* What the kernel knows of this process. */
#ifndef PROCESS_H
#define PROCESS_H

#include "bench.h"
#include <dirent.h>

/* Resident memory, in bytes. */
static inline uint64_t resident_bytes(void)
{
    unsigned long long size, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%llu %llu", &size, &resident) != 2)
        fail("cannot read /proc/self/statm");
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* How often the threads of the library have gone to sleep, and so were woken. */
static inline uint64_t library_wakeups(void)
{
    uint64_t sum = 0;
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    if (tasks == NULL)
        fail("cannot read /proc/self/task");
    while ((task = readdir(tasks)) != NULL) {
        char path[300], line[256];
        unsigned long long switches;
        bool ours = false;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE *status = fopen(path, "r");
        if (status == NULL)
            continue;
        while (fgets(line, sizeof line, status) != NULL) {
            if (strncmp(line, "Name:\tdcf-tb-", 13) == 0)
                ours = true;
            if (ours && sscanf(line, "voluntary_ctxt_switches: %llu", &switches) == 1)
                sum += switches;
        }
        fclose(status);
    }
    closedir(tasks);
    return sum;
}

/* Does nothing for a second, and says what that cost. */
static inline void say_idleness(void)
{
    /* What follows the last call, such as the end of a thread, takes a moment. */
    usleep(300000);
    uint64_t wakeups = library_wakeups(), cpu = cpu_ns(), start = now_ns();
    usleep(1000000);
    say("look_ns", now_ns() - start);
    say("cpu_ns", cpu_ns() - cpu);
    say("wakeups", library_wakeups() - wakeups);
}

#endif
