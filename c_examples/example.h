/* Helpers of the examples: options, and ending on errors and on Ctrl-C. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#define _POSIX_C_SOURCE 200809L /* getopt, sigwait; before the first system header */

#include <dcf_thunderbolt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXAMPLE_OPTIONS "[-i INTERFACE] [-c CONTROL_PORT] [-d DATA_PORT]"

/* Exit codes of every example: 0 success, 1 failure, 2 wrong arguments, 130 Ctrl-C. */
enum { EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

static volatile sig_atomic_t example_interrupted;

/* Ends the program with the library's error text unless the status is OK. */
static inline void check(dcf_tb_status status)
{
    char why[256];

    if (status == DCF_TB_OK)
        return;
    if (example_interrupted)
        exit(EXIT_INTERRUPTED);
    dcf_tb_last_error(why, sizeof why);
    fprintf(stderr, "%s: %s\n", dcf_tb_status_string(status), why);
    exit(EXIT_FAILURE);
}

static inline void usage(const char *program, const char *arguments)
{
    fprintf(stderr, "usage: %s " EXAMPLE_OPTIONS " %s\n", program, arguments);
    exit(EXIT_USAGE);
}

/* A whole number from `min` to `max`; `otherwise` for NULL, a missing argument. */
static inline unsigned long number(const char *text, unsigned long otherwise,
                                   unsigned long min, unsigned long max)
{
    char *end;
    unsigned long value;

    if (text == NULL)
        return otherwise;
    value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value < min || value > max) {
        fprintf(stderr, "'%s' is not a number from %lu to %lu\n", text, min, max);
        exit(EXIT_USAGE);
    }
    return value;
}

/* The default settings with the changes by the options. `least` to `most` arguments must follow the options. */
static inline dcf_tb_config parse_options(int argc, char **argv, int least, int most,
                                          const char *arguments)
{
    dcf_tb_config config;
    int option;

    check(dcf_tb_config_init(&config, sizeof config));
    while ((option = getopt(argc, argv, "i:c:d:")) != -1) {
        switch (option) {
        case 'i': config.interface_name = optarg; break;
        case 'c': config.control_port = (uint16_t)number(optarg, 0, 0, 65535); break;
        case 'd': config.data_port = (uint16_t)number(optarg, 0, 0, 65535); break;
        default: usage(argv[0], arguments);
        }
    }
    if (argc - optind < least || argc - optind > most)
        usage(argv[0], arguments);
    return config;
}

/* Argument number `index`, from 0, or NULL if there are fewer. Call it after parse_options. */
static inline const char *argument(int argc, char **argv, int index)
{
    return optind + index < argc ? argv[optind + index] : NULL;
}

static inline void *close_on_signal_thread(void *transport)
{
    sigset_t signals;
    int signal_number;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigwait(&signals, &signal_number);
    example_interrupted = 1;
    dcf_tb_close(*(dcf_tb_transport *)transport);
    return NULL;
}

/* Calls dcf_tb_init. From then on SIGINT and SIGTERM close the transport, and every call that
      waits at that moment returns DCF_TB_CANCELLED. So calls need no timeout
      for checking a flag. (dcf_tb_close takes locks: a thread may call it, a signal
   handler may not.) */
static inline dcf_tb_transport open_until_signal(const dcf_tb_config *config)
{
    static dcf_tb_transport transport;
    sigset_t signals;
    pthread_t thread;

    check(dcf_tb_init(config, &transport));
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (pthread_create(&thread, NULL, close_on_signal_thread, &transport) == 0)
        pthread_detach(thread);
    return transport;
}

#endif
