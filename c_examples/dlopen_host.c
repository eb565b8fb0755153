/* dlopen_host: a program that learns of the library when it runs, as plugin hosts do.
   It loads it, checks the ABI version, makes one round trip to a peer, and lets it go.

       dlopen_host libdcf_thunderbolt.so.1 thunderbolt0 fe80::b
       dlopen_host libdcf_thunderbolt.so.1 lo ::1                 (to itself)

   Only the header is needed to build it. */
#include <dcf_thunderbolt.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t (*abi_version)(void);
static const char *(*version)(void);
static const char *(*status_string)(dcf_tb_status);
static size_t (*last_error)(char *, size_t);
static dcf_tb_status (*config_init)(dcf_tb_config *, size_t);
static dcf_tb_status (*init)(const dcf_tb_config *, dcf_tb_transport *);
static dcf_tb_status (*measure_rtt)(dcf_tb_transport, const char *, uint32_t, uint64_t *);
static dcf_tb_status (*close_transport)(dcf_tb_transport);

static const struct {
    const char *name;
    void *slot; /* of the function pointer above */
} symbols[] = {
    {"dcf_tb_abi_version", &abi_version}, {"dcf_tb_version", &version},
    {"dcf_tb_status_string", &status_string}, {"dcf_tb_last_error", &last_error},
    {"dcf_tb_config_init", &config_init}, {"dcf_tb_init", &init},
    {"dcf_tb_measure_rtt", &measure_rtt}, {"dcf_tb_close", &close_transport},
};

static void check(dcf_tb_status status)
{
    char why[256];

    if (status == DCF_TB_OK)
        return;
    last_error(why, sizeof why);
    fprintf(stderr, "%s: %s\n", status_string(status), why);
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    dcf_tb_config config;
    dcf_tb_transport transport;
    uint64_t rtt_ns;
    void *library;
    size_t i;

    if (argc != 4) {
        fprintf(stderr, "usage: %s LIBRARY INTERFACE PEER\n", argv[0]);
        return 2;
    }
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return EXIT_FAILURE;
    }
    for (i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *function = dlsym(library, symbols[i].name);

        if (function == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return EXIT_FAILURE;
        }
        /* ISO C knows no way from an object pointer to a function pointer; POSIX says
           that they look the same, so the bytes are copied. */
        memcpy(symbols[i].slot, &function, sizeof function);
    }

    /* Check this first: no other function of a library with another ABI may be called. */
    if (abi_version() != DCF_TB_ABI_VERSION) {
        fprintf(stderr, "%s has ABI %lu, this program needs %lu\n", argv[1],
                (unsigned long)abi_version(), (unsigned long)DCF_TB_ABI_VERSION);
        return EXIT_FAILURE;
    }
    printf("version %s, ABI %lu\n", version(), (unsigned long)abi_version());

    check(config_init(&config, sizeof config));
    config.interface_name = argv[2];
    check(init(&config, &transport));
    check(measure_rtt(transport, argv[3], 1000, &rtt_ns));
    printf("round trip %.1f µs\n", (double)rtt_ns / 1e3);
    check(close_transport(transport)); /* before dlclose: it joins the threads */
    dlclose(library);
    return EXIT_SUCCESS;
}
