/* The library does not write to the standard outputs, with or without a log callback. */
#include "every_call.h"

int main(void)
{
    FILE *file = tmpfile();
    CHECK(file != NULL);
    int out = dup(1), err = dup(2);
    CHECK(out >= 0 && err >= 0);
    fflush(stdout);
    CHECK(dup2(fileno(file), 1) == 1 && dup2(fileno(file), 2) == 2);

    dcf_tb_config config = loopback_config();
    config.log_level = DCF_TB_LOG_DEBUG;
    dcf_tb_transport t = start(&config), other = start(&config), none = 0;
    every_call(t, other, NULL);
    CHECK(dcf_tb_send(t, "nonsense", NULL, 0) != DCF_TB_OK);
    CHECK(dcf_tb_send(12345, NULL, NULL, 7) != DCF_TB_OK);
    config.control_port = control_port(t);
    CHECK(dcf_tb_init(&config, &none) != DCF_TB_OK);
    OK(dcf_tb_close(t));
    OK(dcf_tb_close(other));

    struct stat status;
    CHECK(dup2(out, 1) == 1 && dup2(err, 2) == 2);
    TOPIC("nothing on the standard outputs");
    CHECK(fstat(fileno(file), &status) == 0);
    CHECK(status.st_size == 0);
    fclose(file);
    return 0;
}
