/*
  * A program that loads the library at run time and unloads it at the worst moments. It is not linked
  * with the library. Argument: one of the scenes below.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "dcf_thunderbolt.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(condition) \
    ((condition) ? (void)0 : (printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition), exit(1)))

static dcf_tb_status (*config_init)(dcf_tb_config *, size_t);
static dcf_tb_status (*init)(const dcf_tb_config *, dcf_tb_transport *);
static dcf_tb_status (*is_running)(dcf_tb_transport, uint8_t *);
static dcf_tb_status (*send_message)(dcf_tb_transport, const char *, const uint8_t *, size_t);
static dcf_tb_status (*close_transport)(dcf_tb_transport);
static size_t (*last_error)(char *, size_t);

static int received;

static void find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    CHECK(symbol != NULL);
    memcpy(function, &symbol, sizeof symbol);
}

static void *load(void)
{
    void *library = dlopen("libdcf_thunderbolt.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        printf("%s\n", dlerror());
    CHECK(library != NULL);
    find(library, "dcf_tb_config_init", &config_init);
    find(library, "dcf_tb_init", &init);
    find(library, "dcf_tb_is_running", &is_running);
    find(library, "dcf_tb_send", &send_message);
    find(library, "dcf_tb_close", &close_transport);
    find(library, "dcf_tb_last_error", &last_error);
    return library;
}

static void on_message(const uint8_t *message, size_t length, const char *sender, void *user_data)
{
    (void)message, (void)length, (void)sender, (void)user_data;
    __atomic_add_fetch(&received, 1, __ATOMIC_SEQ_CST);
}

static dcf_tb_transport start_with(dcf_tb_message_callback callback)
{
    dcf_tb_config config;
    dcf_tb_transport transport = 0;
    CHECK(config_init(&config, sizeof config) == DCF_TB_OK);
    config.interface_name = "lo";
    config.control_port = config.data_port = 0;
    config.on_message = callback;
    CHECK(init(&config, &transport) == DCF_TB_OK);
    return transport;
}

static dcf_tb_transport start(void)
{
    return start_with(on_message);
}

/* Waits until a counter reaches `target`. */
static int gets_to(const int *counter, int target)
{
    for (int i = 0; i < 30000 && __atomic_load_n(counter, __ATOMIC_SEQ_CST) < target; i++) {
        struct timespec time = {0, 1000000};
        nanosleep(&time, NULL);
    }
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST) == target;
}

/* Gives the library's threads work, and waits until it is done. */
static void exchange(dcf_tb_transport transport)
{
    int target = __atomic_load_n(&received, __ATOMIC_SEQ_CST) + 10;
    for (int i = 0; i < 10; i++)
        CHECK(send_message(transport, "::1%lo", (const uint8_t *)"x", 1) == DCF_TB_OK);
    CHECK(gets_to(&received, target));
}

static void with_transport_open(void)
{
    void *library = load();
    dcf_tb_transport transport = start();
    exchange(transport);
    CHECK(dlclose(library) == 0);
    exchange(transport); /* its threads still run */
    library = load();
    uint8_t running = 0;
    CHECK(is_running(transport, &running) == DCF_TB_OK && running == 1);
    CHECK(close_transport(transport) == DCF_TB_OK);
    CHECK(dlclose(library) == 0);
}

static void closed_and_reloaded(void)
{
    for (int i = 0; i < 20; i++) {
        void *library = load();
        dcf_tb_transport transport = start();
        exchange(transport);
        CHECK(close_transport(transport) == DCF_TB_OK);
        CHECK(dlclose(library) == 0);
    }
}

/* A thread with an error text of its own, which must be freed when the thread ends. */
static pthread_barrier_t used, unloaded;

static void *use_then_end(void *unused)
{
    char text[8];
    CHECK(close_transport(0) == DCF_TB_ERR_INVALID_HANDLE);
    CHECK(last_error(text, sizeof text) > 0);
    pthread_barrier_wait(&used);
    pthread_barrier_wait(&unloaded);
    return unused;
}

static void thread_ends_later(void)
{
    void *library = load();
    pthread_t thread;
    CHECK(pthread_barrier_init(&used, NULL, 2) == 0);
    CHECK(pthread_barrier_init(&unloaded, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, use_then_end, NULL) == 0);
    pthread_barrier_wait(&used);
    CHECK(dlclose(library) == 0);
    pthread_barrier_wait(&unloaded);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void *loaded;
static int inside, let_go;

/* The first call blocks; the second unloads the library that called it. */
static void stay_or_unload(const uint8_t *message, size_t length, const char *sender, void *data)
{
    (void)message, (void)length, (void)sender, (void)data;
    if (__atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST) == 1)
        CHECK(gets_to(&let_go, 1));
    else
        CHECK(dlclose(loaded) == 0);
    __atomic_add_fetch(&received, 1, __ATOMIC_SEQ_CST);
}

static void callback_runs(void)
{
    loaded = load();
    dcf_tb_transport transport = start_with(stay_or_unload);
    CHECK(send_message(transport, "::1%lo", (const uint8_t *)"stay", 4) == DCF_TB_OK);
    CHECK(gets_to(&inside, 1));
    CHECK(dlclose(loaded) == 0);
    __atomic_store_n(&let_go, 1, __ATOMIC_SEQ_CST);
    CHECK(gets_to(&received, 1)); /* it has returned into the library */
    loaded = load();
    CHECK(send_message(transport, "::1%lo", (const uint8_t *)"unload", 6) == DCF_TB_OK);
    CHECK(gets_to(&received, 2));
    CHECK(close_transport(transport) == DCF_TB_OK);
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    if (strcmp(arguments[1], "open") == 0)
        with_transport_open();
    else if (strcmp(arguments[1], "reload") == 0)
        closed_and_reloaded();
    else if (strcmp(arguments[1], "callback") == 0)
        callback_runs();
    else if (strcmp(arguments[1], "thread") == 0)
        thread_ends_later();
    else if (strcmp(arguments[1], "exit") == 0)
        exchange((load(), start())); /* and main returns with everything open */
    else if (strcmp(arguments[1], "unloaded-exit") == 0) {
        void *library = load();
        exchange(start());
        CHECK(dlclose(library) == 0);
    } else
        CHECK(!"a known scene");
    return 0;
}
