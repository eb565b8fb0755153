/*
 * The fixed part of the ABI, in the compiler's view of the header: every number, every size and
 * offset on a 64-bit system, and every function's type, declared once more here. It is compiled,
 * never run.
 */
#include <dcf_thunderbolt.h>

#ifdef __cplusplus
#define ASSERT(condition) static_assert(condition, #condition)
#else
#define ASSERT(condition) _Static_assert(condition, #condition)
#endif
#define AT(type, member, place) ASSERT(offsetof(type, member) == (place))

ASSERT(DCF_TB_OK == 0x0000);
ASSERT(DCF_TB_WOULD_BLOCK == 0x0002);
ASSERT(DCF_TB_CANCELLED == 0x0003);
ASSERT(DCF_TB_EOF == 0x0004);
ASSERT(DCF_TB_ERR_NULL_POINTER == 0x0100);
ASSERT(DCF_TB_ERR_OUT_OF_MEMORY == 0x0103);
ASSERT(DCF_TB_ERR_BUFFER_TOO_SMALL == 0x0104);
ASSERT(DCF_TB_ERR_CONFIG_INVALID == 0x0201);
ASSERT(DCF_TB_ERR_SOCKET_OPTION == 0x0300);
ASSERT(DCF_TB_ERR_CONNECTION_REFUSED == 0x0302);
ASSERT(DCF_TB_ERR_INTERFACE_NOT_FOUND == 0x0306);
ASSERT(DCF_TB_ERR_CONNECTION_FAILED == 0x030B);
ASSERT(DCF_TB_ERR_CONNECTION_RESET == 0x030D);
ASSERT(DCF_TB_ERR_HOST_UNREACHABLE == 0x030E);
ASSERT(DCF_TB_ERR_LINK_DOWN == 0x030F);
ASSERT(DCF_TB_ERR_CONNECTION_ABORTED == 0x0310);
ASSERT(DCF_TB_ERR_TOO_MANY_CONNECTIONS == 0x0311);
ASSERT(DCF_TB_ERR_ADDRESS_IN_USE == 0x0312);
ASSERT(DCF_TB_ERR_INVALID_MESSAGE == 0x0402);
ASSERT(DCF_TB_ERR_MESSAGE_TOO_LARGE == 0x0403);
ASSERT(DCF_TB_ERR_FORKED == 0x0600);
ASSERT(DCF_TB_ERR_NOT_INITIALIZED == 0x0601);
ASSERT(DCF_TB_ERR_SHUTDOWN == 0x0604);
ASSERT(DCF_TB_ERR_PERMISSION_DENIED == 0x0701);
ASSERT(DCF_TB_ERR_INVALID_ADDRESS == 0x0800);
ASSERT(DCF_TB_ERR_OUT_OF_RANGE == 0x0801);
ASSERT(DCF_TB_ERR_INVALID_HANDLE == 0x0805);
ASSERT(DCF_TB_ERR_IO == 0x0900);
ASSERT(DCF_TB_ERR_BROKEN_PIPE == 0x0908);
ASSERT(DCF_TB_ERR_TIMEOUT == 0x0A00);
ASSERT(DCF_TB_ERR_TOO_MANY_FILES == 0x0B01);
ASSERT(DCF_TB_ERR_QUEUE_FULL == 0x0B02);
ASSERT(DCF_TB_ERR_THREAD == 0x0B06);
ASSERT(DCF_TB_ERR_PANIC == 0xFFFF);
ASSERT(DCF_TB_ABI_VERSION == 1);
ASSERT(DCF_TB_MAX_DISCOVERED == 1024);
ASSERT(DCF_TB_WAIT_FOREVER == 0xFFFFFFFF);
ASSERT(DCF_TB_LOG_DEBUG == 1);
ASSERT(DCF_TB_LOG_INFO == 2);
ASSERT(DCF_TB_LOG_WARN == 3);
ASSERT(DCF_TB_LOG_ERROR == 4);
ASSERT(DCF_TB_OPTION_LOG_LEVEL == 1);
ASSERT(DCF_TB_OPTION_BUSY_POLL_US == 2);
ASSERT(DCF_TB_OPTION_RECEIVE_QUEUE == 3);
ASSERT(DCF_TB_OPTION_RECEIVE_QUEUE_BYTES == 4);
ASSERT(DCF_TB_OPTION_MAX_STREAMS == 5);
ASSERT(DCF_TB_OPTION_MAX_SILENT_STREAMS == 6);
ASSERT(DCF_TB_OPTION_SILENT_AFTER_MS == 7);
ASSERT(DCF_TB_OPTION_CONNECT_TIMEOUT_MS == 8);
ASSERT(DCF_TB_OPTION_ALLOW_ANY_SOURCE == 9);
ASSERT(DCF_TB_OPTION_STREAM_DEAD_AFTER_MS == 10);

ASSERT(sizeof(dcf_tb_status) == 4 && (dcf_tb_status)-1 < 0);
ASSERT(sizeof(dcf_tb_transport) == 8 && (dcf_tb_transport)-1 > 0);
ASSERT(sizeof(dcf_tb_stream) == 8 && (dcf_tb_stream)-1 > 0);

ASSERT(sizeof(dcf_tb_config) == 136);
AT(dcf_tb_config, struct_size, 0);
AT(dcf_tb_config, control_port, 4);
AT(dcf_tb_config, data_port, 6);
AT(dcf_tb_config, interface_name, 8);
AT(dcf_tb_config, buffer_size, 16);
AT(dcf_tb_config, tcp_nodelay, 24);
AT(dcf_tb_config, tcp_keepalive, 25);
AT(dcf_tb_config, allow_any_source, 26);
AT(dcf_tb_config, wait_for_interface, 27);
AT(dcf_tb_config, busy_poll_us, 28);
AT(dcf_tb_config, receive_queue, 32);
AT(dcf_tb_config, max_streams, 36);
AT(dcf_tb_config, connect_timeout_ms, 40);
AT(dcf_tb_config, stream_dead_after_ms, 44);
AT(dcf_tb_config, log_level, 48);
AT(dcf_tb_config, on_message, 56);
AT(dcf_tb_config, on_stream, 64);
AT(dcf_tb_config, on_log, 72);
AT(dcf_tb_config, on_link, 80);
AT(dcf_tb_config, on_closed, 88);
AT(dcf_tb_config, user_data, 96);
AT(dcf_tb_config, receive_queue_bytes, 104);
AT(dcf_tb_config, max_silent_streams, 112);
AT(dcf_tb_config, silent_after_ms, 116);
AT(dcf_tb_config, on_peer, 120);
AT(dcf_tb_config, peer_timeout_ms, 128);
AT(dcf_tb_config, remember_peers, 132);

ASSERT(sizeof(dcf_tb_stats) == 288);
AT(dcf_tb_stats, struct_size, 0);
AT(dcf_tb_stats, link_up, 4);
AT(dcf_tb_stats, messages_sent, 8);
AT(dcf_tb_stats, messages_received, 16);
AT(dcf_tb_stats, bytes_sent, 24);
AT(dcf_tb_stats, bytes_received, 32);
AT(dcf_tb_stats, connections_accepted, 40);
AT(dcf_tb_stats, connections_initiated, 48);
AT(dcf_tb_stats, errors, 56);
AT(dcf_tb_stats, uptime_ns, 64);
AT(dcf_tb_stats, messages_dropped, 72);
AT(dcf_tb_stats, kernel_drops, 80);
AT(dcf_tb_stats, rejected, 88);
AT(dcf_tb_stats, stream_bytes_sent, 96);
AT(dcf_tb_stats, stream_bytes_received, 104);
AT(dcf_tb_stats, streams_open, 112);
AT(dcf_tb_stats, pings_sent, 120);
AT(dcf_tb_stats, pongs_received, 128);
AT(dcf_tb_stats, pings_answered, 136);
AT(dcf_tb_stats, last_rtt_ns, 144);
AT(dcf_tb_stats, link_changes, 152);
AT(dcf_tb_stats, callback_failures, 160);
AT(dcf_tb_stats, udp_send_buffer, 168);
AT(dcf_tb_stats, udp_receive_buffer, 176);
AT(dcf_tb_stats, rejected_source, 184);
AT(dcf_tb_stats, rejected_max_streams, 192);
AT(dcf_tb_stats, rejected_silent, 200);
AT(dcf_tb_stats, rejected_resources, 208);
AT(dcf_tb_stats, dropped_memory, 216);
AT(dcf_tb_stats, pongs_ignored, 224);
AT(dcf_tb_stats, rejected_malformed, 232);
AT(dcf_tb_stats, discovery_dropped, 240);
AT(dcf_tb_stats, send_drops, 248);
AT(dcf_tb_stats, pings_limited, 256);
AT(dcf_tb_stats, dropped_slow, 264);
AT(dcf_tb_stats, pings_undelivered, 272);
AT(dcf_tb_stats, peers_not_reported, 280);

ASSERT(sizeof(dcf_tb_rtt) == 72);
AT(dcf_tb_rtt, struct_size, 0);
AT(dcf_tb_rtt, sent, 4);
AT(dcf_tb_rtt, received, 8);
AT(dcf_tb_rtt, reserved, 12);
AT(dcf_tb_rtt, min_ns, 16);
AT(dcf_tb_rtt, mean_ns, 24);
AT(dcf_tb_rtt, p50_ns, 32);
AT(dcf_tb_rtt, p90_ns, 40);
AT(dcf_tb_rtt, p99_ns, 48);
AT(dcf_tb_rtt, p999_ns, 56);
AT(dcf_tb_rtt, max_ns, 64);

ASSERT(sizeof(dcf_tb_peer) == 88);
AT(dcf_tb_peer, address, 0);
AT(dcf_tb_peer, rtt_ns, 80);

ASSERT(sizeof(dcf_tb_datagram) == 24);
AT(dcf_tb_datagram, peer, 0);
AT(dcf_tb_datagram, data, 8);
AT(dcf_tb_datagram, len, 16);

ASSERT(sizeof(dcf_tb_received) == 96);
AT(dcf_tb_received, data, 0);
AT(dcf_tb_received, len, 8);
AT(dcf_tb_received, sender, 16);

ASSERT(sizeof(dcf_tb_slice) == 16);
AT(dcf_tb_slice, data, 0);
AT(dcf_tb_slice, len, 8);

ASSERT(sizeof(dcf_tb_stream_stats) == 168);
AT(dcf_tb_stream_stats, struct_size, 0);
AT(dcf_tb_stream_stats, connected, 4);
AT(dcf_tb_stream_stats, bytes_sent, 8);
AT(dcf_tb_stream_stats, bytes_received, 16);
AT(dcf_tb_stream_stats, writes, 24);
AT(dcf_tb_stream_stats, reads, 32);
AT(dcf_tb_stream_stats, age_ns, 40);
AT(dcf_tb_stream_stats, idle_ns, 48);
AT(dcf_tb_stream_stats, since_sent_ns, 56);
AT(dcf_tb_stream_stats, since_received_ns, 64);
AT(dcf_tb_stream_stats, bytes_unsent, 72);
AT(dcf_tb_stream_stats, bytes_unacknowledged, 80);
AT(dcf_tb_stream_stats, rtt_ns, 88);
AT(dcf_tb_stream_stats, rtt_variation_ns, 96);
AT(dcf_tb_stream_stats, rtt_min_ns, 104);
AT(dcf_tb_stream_stats, retransmits, 112);
AT(dcf_tb_stream_stats, delivery_rate, 120);
AT(dcf_tb_stream_stats, peer_window, 128);
AT(dcf_tb_stream_stats, stalled, 136);
AT(dcf_tb_stream_stats, stalled_ns, 144);
AT(dcf_tb_stream_stats, congestion_window, 152);
AT(dcf_tb_stream_stats, mss, 160);

#ifdef __cplusplus
extern "C" {
#endif
const char *dcf_tb_status_string(dcf_tb_status status);
size_t dcf_tb_last_error(char *buf, size_t cap);
int32_t dcf_tb_last_errno(void);
uint32_t dcf_tb_abi_version(void);
const char *dcf_tb_version(void);
dcf_tb_status dcf_tb_config_init(dcf_tb_config *config, size_t config_size);
dcf_tb_status dcf_tb_init(const dcf_tb_config *config, dcf_tb_transport *transport);
dcf_tb_status dcf_tb_close(dcf_tb_transport transport);
dcf_tb_status dcf_tb_is_running(dcf_tb_transport transport, uint8_t *running);
dcf_tb_status dcf_tb_interface(dcf_tb_transport transport, char *buf, size_t cap, size_t *len);
dcf_tb_status dcf_tb_ports(dcf_tb_transport transport, uint16_t *control_port, uint16_t *data_port);
dcf_tb_status dcf_tb_wait_link(dcf_tb_transport transport, int32_t up, uint32_t timeout_ms);
dcf_tb_status dcf_tb_set_option(dcf_tb_transport, int32_t option, uint64_t value);
dcf_tb_status dcf_tb_get_option(dcf_tb_transport, int32_t option, uint64_t *value);
dcf_tb_status dcf_tb_set_message_callback(dcf_tb_transport, dcf_tb_message_callback,
    void *user_data);
dcf_tb_status dcf_tb_set_stream_callback(dcf_tb_transport, dcf_tb_stream_callback, void *user_data);
dcf_tb_status dcf_tb_set_log_callback(dcf_tb_transport, dcf_tb_log_callback, void *user_data);
dcf_tb_status dcf_tb_set_link_callback(dcf_tb_transport, dcf_tb_link_callback, void *user_data);
dcf_tb_status dcf_tb_set_peer_callback(dcf_tb_transport, dcf_tb_peer_callback, void *user_data);
void dcf_tb_log_to_socket(int32_t level, const char *message, void *user_data);
void dcf_tb_link_to_socket(int32_t up, const char *interface_name, void *user_data);
void dcf_tb_peer_to_socket(int32_t appeared, const char *peer, void *user_data);
dcf_tb_status dcf_tb_send(dcf_tb_transport, const char *peer, const uint8_t *data, size_t len);
dcf_tb_status dcf_tb_send_batch(dcf_tb_transport, const dcf_tb_datagram *datagrams, size_t count,
    size_t *sent);
dcf_tb_status dcf_tb_recv(dcf_tb_transport, uint8_t *buf, size_t cap, size_t *len, char *sender,
    size_t sender_cap, uint32_t timeout_ms);
dcf_tb_status dcf_tb_recv_batch(dcf_tb_transport, uint8_t *buf, size_t cap,
    dcf_tb_received *messages, size_t most, size_t *count, uint32_t timeout_ms);
dcf_tb_status dcf_tb_event_fd(dcf_tb_transport, int32_t *fd);
dcf_tb_status dcf_tb_open_stream(dcf_tb_transport, const char *peer, uint32_t timeout_ms,
    dcf_tb_stream *stream);
dcf_tb_status dcf_tb_accept(dcf_tb_transport, uint32_t timeout_ms, dcf_tb_stream *stream);
dcf_tb_status dcf_tb_stream_write(dcf_tb_stream, const uint8_t *data, size_t len,
    uint32_t timeout_ms, size_t *written);
dcf_tb_status dcf_tb_stream_read(dcf_tb_stream, uint8_t *buf, size_t cap, uint32_t timeout_ms,
    size_t *read);
dcf_tb_status dcf_tb_stream_writev(dcf_tb_stream, const dcf_tb_slice *slices, size_t count,
    uint32_t timeout_ms, size_t *written);
dcf_tb_status dcf_tb_stream_read_exact(dcf_tb_stream, uint8_t *buf, size_t len, uint32_t timeout_ms,
    size_t *read);
dcf_tb_status dcf_tb_stream_send_file(dcf_tb_stream, int32_t fd, uint64_t offset, uint64_t count,
    uint32_t timeout_ms, uint64_t *sent);
dcf_tb_status dcf_tb_stream_receive_file(dcf_tb_stream, int32_t fd, uint64_t offset,
    uint64_t count, uint32_t timeout_ms, uint64_t *received);
dcf_tb_status dcf_tb_stream_finish(dcf_tb_stream);
dcf_tb_status dcf_tb_stream_close(dcf_tb_stream);
dcf_tb_status dcf_tb_stream_peer(dcf_tb_stream, char *buf, size_t cap, size_t *len);
dcf_tb_status dcf_tb_stream_fd(dcf_tb_stream, int32_t *fd);
dcf_tb_status dcf_tb_stream_detach(dcf_tb_stream, int32_t *fd);
dcf_tb_status dcf_tb_stream_set_user_data(dcf_tb_stream, void *user_data);
dcf_tb_status dcf_tb_stream_user_data(dcf_tb_stream, void **user_data);
dcf_tb_status dcf_tb_measure_rtt(dcf_tb_transport, const char *peer, uint32_t timeout_ms,
    uint64_t *rtt_ns);
dcf_tb_status dcf_tb_ping(dcf_tb_transport, const char *peer, uint32_t count,
    uint32_t interval_us, uint32_t timeout_ms, dcf_tb_rtt *summary);
dcf_tb_status dcf_tb_discover(dcf_tb_transport, uint32_t timeout_ms, dcf_tb_peer *peers,
    size_t cap, size_t *count);
dcf_tb_status dcf_tb_last_heard(dcf_tb_transport, const char *peer, uint64_t *ns_ago);
dcf_tb_status dcf_tb_forget(dcf_tb_transport, const char *peer);
dcf_tb_status dcf_tb_discover_first(dcf_tb_transport, uint32_t timeout_ms, dcf_tb_peer *peers,
    size_t cap, size_t *count);
dcf_tb_status dcf_tb_get_stats(dcf_tb_transport, dcf_tb_stats *stats);
dcf_tb_status dcf_tb_reset_stats(dcf_tb_transport);
dcf_tb_status dcf_tb_stream_get_stats(dcf_tb_stream, dcf_tb_stream_stats *stats);
#ifdef __cplusplus
}
#endif
