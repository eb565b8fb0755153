/* Resources of this process, from procfs. */
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

/* How often the threads of the library went to sleep, which is how often they were woken. */
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

/* Waits for a second, and prints what the process used meanwhile. */
static inline void say_idleness(void)
{
    /* Effects of the last call, such as the end of a thread, take a moment. */
    usleep(300000);
    uint64_t wakeups = library_wakeups(), cpu = cpu_ns(), start = now_ns();
    usleep(1000000);
    say("look_ns", now_ns() - start);
    say("cpu_ns", cpu_ns() - cpu);
    say("wakeups", library_wakeups() - wakeups);
}

#endif
