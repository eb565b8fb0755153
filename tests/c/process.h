/* The resources of this process, from procfs. */
#ifndef PROCESS_H
#define PROCESS_H

#include "check.h"

#include <dirent.h>

static inline int count_entries(const char *path)
{
    int count = 0;
    DIR *directory = opendir(path);
    CHECK(directory != NULL);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

/* Counts the descriptor of the scan too, every time. */
static inline int count_descriptors(void)
{
    return count_entries("/proc/self/fd");
}

static inline int count_threads(void)
{
    return count_entries("/proc/self/task");
}

/* The value of one line of a status file, such as "VmRSS"; `thread` 0 is the process. */
static inline uint64_t status_value(int thread, const char *name, int base)
{
    char path[64], line[256];
    uint64_t found = 0;
    if (thread == 0)
        snprintf(path, sizeof path, "/proc/self/status");
    else
        snprintf(path, sizeof path, "/proc/self/task/%d/status", thread);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            found = strtoull(line + strlen(name) + 1, NULL, base);
    fclose(file);
    return found;
}

/* Whether a thread sleeps in the kernel, as in a waiting call. False for `thread` 0, which is not set yet. */
static inline int asleep(int thread)
{
    char path[64], line[512] = "";
    const char *state;
    if (thread == 0)
        return 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    state = fgets(line, sizeof line, file) != NULL ? strrchr(line, ')') : NULL;
    fclose(file);
    return state != NULL && state[1] == ' ' && state[2] == 'S';
}

static inline uint64_t resident_kib(void)
{
    return status_value(0, "VmRSS", 10);
}

typedef void (*thread_visitor)(int thread, const char *name, void *data);

/* Calls `visit` for every thread whose name begins with "dcf-tb-"; returns their number. */
static inline int each_library_thread(thread_visitor visit, void *data)
{
    int found = 0;
    struct dirent *entry;
    DIR *directory = opendir("/proc/self/task");
    CHECK(directory != NULL);
    while ((entry = readdir(directory)) != NULL) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file == NULL)
            continue;
        if (fgets(name, sizeof name, file) != NULL && strncmp(name, "dcf-tb-", 7) == 0) {
            name[strcspn(name, "\n")] = '\0';
            found++;
            if (visit != NULL)
                visit(atoi(entry->d_name), name, data);
        }
        fclose(file);
    }
    closedir(directory);
    return found;
}

#endif
