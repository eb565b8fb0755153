/*
  * An application that unloads a plugin with the static library. Arguments: the plugin, and the mode:
  * "open" leaves its transport open and expects the plugin to stay loaded, "closed" closes it first and
  * expects the plugin to be unloaded.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition) \
    ((condition) ? (void)0 : (printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition), exit(1)))

static uint64_t (*start)(void);
static int (*send_message)(uint64_t);
static int (*stop)(uint64_t);

static void find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    CHECK(symbol != NULL);
    memcpy(function, &symbol, sizeof symbol);
}

static void *load(const char *plugin)
{
    void *library = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        printf("%s\n", dlerror());
    CHECK(library != NULL);
    find(library, "plugin_start", &start);
    find(library, "plugin_send", &send_message);
    find(library, "plugin_stop", &stop);
    return library;
}

static void exchange(uint64_t transport)
{
    int before = send_message(transport), now = before;
    CHECK(before >= 0);
    for (int i = 0; i < 30000 && now < before + 10; i++) {
        struct timespec time = {0, 1000000};
        nanosleep(&time, NULL);
        now = send_message(transport);
    }
    CHECK(now >= before + 10);
}

/* Whether the plugin is mapped. */
static int is_mapped(const char *plugin)
{
    char line[4096];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL)
        found |= strstr(line, plugin) != NULL;
    fclose(maps);
    return found;
}

static int leave_open;

/* Runs on a thread that ends. The C library keeps a shared object loaded while a thread has destructors of
   it to run, and the main thread does not end. */
static void *work(void *transport)
{
    uint64_t started = start();
    CHECK(started != 0);
    exchange(started);
    if (leave_open)
        *(uint64_t *)transport = started;
    else
        CHECK(stop(started) == 0);
    return NULL;
}

static void *go_on(void *transport)
{
    exchange(*(uint64_t *)transport);
    CHECK(stop(*(uint64_t *)transport) == 0);
    return NULL;
}

static void on_a_thread(void *(*body)(void *), uint64_t *transport)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, transport) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

int main(int count, char **arguments)
{
    CHECK(count == 3);
    leave_open = strcmp(arguments[2], "open") == 0;
    for (int i = 0; i < 20; i++) {
        uint64_t transport = 0;
        void *library = load(arguments[1]);
        on_a_thread(work, &transport);
        CHECK(dlclose(library) == 0);
        CHECK(is_mapped(arguments[1]) == leave_open);
        /* No handler that the plugin has registered is called. */
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0)
            _exit(0);
        CHECK(waitpid(child, NULL, 0) == child);
        if (leave_open) {
            library = load(arguments[1]);
            on_a_thread(go_on, &transport);
            CHECK(dlclose(library) == 0);
        }
    }
    return 0;
}
