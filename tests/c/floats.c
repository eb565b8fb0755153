/* Floating point: no call raises an exception that the caller traps, and library threads have no traps. */
#include "every_call.h"

#include <fenv.h>

enum { TRAPPED = FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW };

static int checked;

static void has_default_environment(void)
{
    CHECK(fegetexcept() == 0);
    CHECK(fegetround() == FE_TONEAREST);
    volatile double zero = 0.0, result = 1.0 / zero; /* would end the process with traps on */
    CHECK(result > 1e308);
    add(&checked, 1);
}

static void on_message(const uint8_t *message, size_t length, const char *sender, void *data)
{
    (void)message, (void)length, (void)sender, (void)data;
    has_default_environment();
}

static void on_stream(dcf_tb_stream stream, const char *peer, void *data)
{
    (void)peer, (void)data;
    has_default_environment();
    OK(dcf_tb_stream_close(stream));
}

int main(void)
{
    TOPIC("no call raises a trapped floating-point exception, or changes the traps");
    CHECK(fesetround(FE_UPWARD) == 0);
    CHECK(feenableexcept(TRAPPED) != -1);
    dcf_tb_transport a = start_on_loopback(), b = start_on_loopback();
    feclearexcept(FE_ALL_EXCEPT);
    for (int i = 0; i < 3; i++)
        every_call(a, b, NULL);
    CHECK(fetestexcept(TRAPPED) == 0);
    CHECK(fegetexcept() == TRAPPED);
    CHECK(fegetround() == FE_UPWARD);

    TOPIC("library threads start with the default floating-point environment");
    dcf_tb_config config = loopback_config();
    config.on_message = on_message;
    config.on_stream = on_stream;
    dcf_tb_transport t = start(&config);
    dcf_tb_stream stream = 0;
    send_text(t, "::1%lo", "go");
    OK(dcf_tb_open_stream(t, "::1%lo", GENEROUS_MS, &stream));
    EVENTUALLY(value(&checked) == 2);
    CHECK(fegetexcept() == TRAPPED);
    OK(dcf_tb_close(t));
    OK(dcf_tb_close(a));
    OK(dcf_tb_close(b));
    return 0;
}
