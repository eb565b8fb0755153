//! Constants and handle types that several functions share.

/// The ABI that this header describes; see `dcf_tb_abi_version`.
pub const DCF_TB_ABI_VERSION: u32 = 1;

/// A timeout that never expires.
pub const DCF_TB_WAIT_FOREVER: u32 = 0xFFFF_FFFF;

/// The size of the largest control message, in bytes.
pub const DCF_TB_MAX_MESSAGE_SIZE: u32 = 65507;

/// A buffer of this size holds every peer string of the library, with its NUL.
pub const DCF_TB_PEER_SIZE: usize = 80;

/// The most peers that `dcf_tb_discover` finds. An array of this length always has room.
pub const DCF_TB_MAX_DISCOVERED: usize = 1024;

/// Log level: debugging details.
pub const DCF_TB_LOG_DEBUG: i32 = 1;
/// Log level: normal events.
pub const DCF_TB_LOG_INFO: i32 = 2;
/// Log level: a problem that the library works around.
pub const DCF_TB_LOG_WARN: i32 = 3;
/// Log level: a failure.
pub const DCF_TB_LOG_ERROR: i32 = 4;

/// A transport, from `dcf_tb_init` to `dcf_tb_close`. 0 is never a valid handle.
#[allow(non_camel_case_types)]
pub type dcf_tb_transport = u64;

/// A data stream, from `dcf_tb_open_stream`, `dcf_tb_accept` or a stream callback to
/// `dcf_tb_stream_close`, `dcf_tb_stream_detach`, or the close of its transport. 0 is never a valid
/// handle.
#[allow(non_camel_case_types)]
pub type dcf_tb_stream = u64;

const _: () = assert!(DCF_TB_MAX_MESSAGE_SIZE as usize == thunderbolt_transport::MAX_MESSAGE_SIZE);
const _: () = assert!(DCF_TB_MAX_DISCOVERED == thunderbolt_transport::MAX_DISCOVERED_PEERS);
const _: () = assert!(DCF_TB_PEER_SIZE == thunderbolt_transport::MAX_PEER_TEXT + 1);
