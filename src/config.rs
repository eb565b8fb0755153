//! The configuration: its defaults, and how it becomes a builder.

use std::ffi::{c_char, c_void, CStr};
use std::fmt;
use std::mem::{offset_of, size_of};
use std::time::Duration;

use thunderbolt_transport::{interface_in, LogLevel, ThunderboltTransportBuilder};

use crate::boundary;
use crate::callbacks::*;
use crate::failure::Failure;
use crate::status::{dcf_tb_status, DCF_TB_ERR_CONFIG_INVALID};
use crate::symbol_versions::exported_since;
use crate::types::*;

/// The settings of a transport. Always fill it with `dcf_tb_config_init` first, then change what
/// should differ: later versions of this header may append members.
///
/// `dcf_tb_init` reads it and what it points to during the call only. In the members that are
/// booleans every number but 0 means yes. What has a `DCF_TB_OPTION_*` can change later, by
/// `dcf_tb_set_option`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct dcf_tb_config {
    /// Size of this struct as the caller knows it; `dcf_tb_config_init` sets it.
    pub struct_size: u32,
    /// UDP port of control messages and pings. Default 5000; 0 = any free one, see `dcf_tb_ports`.
    /// With 0, peers of messages and pings have to name their port, and discovery is not possible.
    pub control_port: u16,
    /// TCP port of data streams. Default 5001; 0 = any free one, see `dcf_tb_ports`. With 0, peers of
    /// streams have to name their port.
    pub data_port: u16,
    /// Network interface, 1 to 15 bytes. Default "thunderbolt0" (NULL too); "auto" = the one
    /// whose driver is thunderbolt-net; if there are several, `dcf_tb_init` fails and names them.
    pub interface_name: *const c_char,
    /// Bytes of socket buffer asked of the kernel. Default 64 MiB. The log and the statistics say
    /// what the kernel granted.
    pub buffer_size: u64,
    /// Boolean: small writes to a stream leave at once (TCP_NODELAY). Default 1.
    pub tcp_nodelay: u8,
    /// Boolean: a silent peer of a stream is noticed (SO_KEEPALIVE). Default 1.
    pub tcp_keepalive: u8,
    /// Boolean: serve sources that are neither link-local nor loopback too. Default 0.
    pub allow_any_source: u8,
    /// Boolean: start without the interface, the link comes when it does; else a missing interface
    /// fails `dcf_tb_init`. Default 0.
    pub wait_for_interface: u8,
    /// Microseconds to spin before sleeping: in receive and round-trip waits, and in reads of a
    /// conversation over a stream. Default 50; 0 = never.
    pub busy_poll_us: u32,
    /// Messages kept for `dcf_tb_recv` while no message callback is set. When it is full, new messages
    /// are dropped and counted. Default 1024.
    pub receive_queue: u32,
    /// Streams that may be open, both directions together. Default 1024.
    pub max_streams: u32,
    /// Milliseconds that opening a stream may take. Default 10000.
    pub connect_timeout_ms: u32,
    /// Milliseconds that a stream's peer may leave data unacknowledged before the stream ends with
    /// `DCF_TB_ERR_CONNECTION_ABORTED` (TCP_USER_TIMEOUT; an idle stream is probed, if `tcp_keepalive`
    /// is set). A peer that does not read, but whose kernel answers, is not dead. Default 10000; 0 =
    /// the system's.
    pub stream_dead_after_ms: u32,
    /// The lowest of `DCF_TB_LOG_*` that is logged; records below it are not even formatted.
    /// Default `DCF_TB_LOG_INFO`.
    pub log_level: i32,
    /// Called with each control message, or NULL. Default NULL.
    pub on_message: dcf_tb_message_callback,
    /// Called with each stream that a peer opens, or NULL. Default NULL.
    pub on_stream: dcf_tb_stream_callback,
    /// Called with each log record, or NULL. Default NULL.
    pub on_log: dcf_tb_log_callback,
    /// Called when the link goes and comes back, or NULL. Default NULL.
    pub on_link: dcf_tb_link_callback,
    /// Called last of all, when the transport has closed, or NULL. Default NULL. Not called when
    /// `dcf_tb_init` fails.
    pub on_closed: dcf_tb_closed_callback,
    /// Handed to all six. Default NULL.
    pub user_data: *mut c_void,
    /// Bytes that the messages of `receive_queue` may have together; what would exceed it is dropped
    /// and counted. Default 64 MiB.
    pub receive_queue_bytes: u64,
    /// Streams that peers opened and on which neither side has sent anything yet; 0 = no limit. When
    /// there are as many, the oldest is reset to make room, if it is older than `silent_after_ms`;
    /// else the newcomer is. Default 1000.
    pub max_silent_streams: u32,
    /// Milliseconds that a stream may stay silent before it gives way to another one, when there are
    /// `max_silent_streams`; with fewer, silence ends no stream. Default 10000.
    pub silent_after_ms: u32,
    /// Called when a peer appears and when it vanishes, or NULL. Default NULL.
    pub on_peer: dcf_tb_peer_callback,
    /// Milliseconds of silence after which a peer has vanished, for `on_peer`. Default 5000; 0 = no limit:
    /// then only the link makes peers vanish, and 1,024 that were there once leave no room for others
    /// until `dcf_tb_forget`.
    pub peer_timeout_ms: u32,
    /// Boolean: remember when each peer was last heard from, for `dcf_tb_last_heard`, also while there is
    /// no peer callback. It costs some nanoseconds for each message. Default 0.
    pub remember_peers: u32,
}

const SIZE: usize = size_of::<dcf_tb_config>();

/// No version of the struct will be larger: what claims to be was never initialized.
const MAX_SIZE: usize = 4096;

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(SIZE == 136);
    assert!(offset_of!(dcf_tb_config, interface_name) == 8);
    assert!(offset_of!(dcf_tb_config, tcp_nodelay) == 24);
    assert!(offset_of!(dcf_tb_config, busy_poll_us) == 28);
    assert!(offset_of!(dcf_tb_config, log_level) == 48);
    assert!(offset_of!(dcf_tb_config, on_message) == 56);
    assert!(offset_of!(dcf_tb_config, user_data) == 96);
};

/// Offset and end of each member.
macro_rules! members {
    ($($name:ident)*) => {
        [$((
            offset_of!(dcf_tb_config, $name),
            offset_of!(dcf_tb_config, $name) + size_of_member(|config| &config.$name),
        )),*]
    };
}

const fn size_of_member<T>(_: fn(&dcf_tb_config) -> &T) -> usize {
    size_of::<T>()
}

const MEMBERS: [(usize, usize); 27] = members!(
    struct_size control_port data_port interface_name buffer_size tcp_nodelay tcp_keepalive
    allow_any_source wait_for_interface busy_poll_us receive_queue max_streams connect_timeout_ms
    stream_dead_after_ms log_level on_message on_stream on_log on_link on_closed user_data
    receive_queue_bytes max_silent_streams silent_after_ms on_peer peer_timeout_ms
    remember_peers
);

/// Copies the members that lie wholly within `size` bytes: a caller with an older header has the
/// first few only, and half a member has no meaning.
///
/// # Safety
///
/// `from` can be read and `to` written for `size` bytes, or as many as the struct has if it has
/// fewer; they do not overlap.
unsafe fn copy_members(from: *const u8, to: *mut u8, size: usize) {
    for (start, end) in MEMBERS {
        if end <= size {
            // SAFETY: within the struct and within `size`.
            unsafe { std::ptr::copy_nonoverlapping(from.add(start), to.add(start), end - start) };
        }
    }
}

fn check_size(name: &str, size: usize) -> Result<(), Failure> {
    if !(size_of::<u32>()..=MAX_SIZE).contains(&size) {
        return Err(invalid(format!(
            "{name} is {size}: it is the size of dcf_tb_config, 4 to {MAX_SIZE} bytes; call \
             dcf_tb_config_init first"
        )));
    }
    Ok(())
}

#[cold]
pub(crate) fn invalid(text: String) -> Failure {
    Failure::new(DCF_TB_ERR_CONFIG_INVALID, text)
}

impl Default for dcf_tb_config {
    fn default() -> Self {
        Self {
            struct_size: SIZE as u32,
            control_port: thunderbolt_transport::DEFAULT_CONTROL_PORT,
            data_port: thunderbolt_transport::DEFAULT_DATA_PORT,
            interface_name: c"thunderbolt0".as_ptr(),
            buffer_size: 64 << 20,
            tcp_nodelay: 1,
            tcp_keepalive: 1,
            allow_any_source: 0,
            wait_for_interface: 0,
            busy_poll_us: 50,
            receive_queue: 1024,
            max_streams: 1024,
            connect_timeout_ms: 10_000,
            stream_dead_after_ms: 10_000,
            log_level: DCF_TB_LOG_INFO,
            on_message: None,
            on_stream: None,
            on_log: None,
            on_link: None,
            on_closed: None,
            user_data: std::ptr::null_mut(),
            receive_queue_bytes: 64 << 20,
            max_silent_streams: 1000,
            silent_after_ms: 10_000,
            on_peer: None,
            peer_timeout_ms: 5000,
            remember_peers: 0,
        }
    }
}

impl dcf_tb_config {
    /// The caller's configuration, whatever size its header knew. NULL gives the defaults.
    ///
    /// # Safety
    ///
    /// `config` is NULL, or leads to as many bytes as its `struct_size` says.
    pub(crate) unsafe fn read(config: *const Self) -> Result<Self, Failure> {
        let mut known = Self::default();
        if config.is_null() {
            return Ok(known);
        }
        let from = config.cast::<u8>();
        // SAFETY: the size is in the first member.
        let size = unsafe { from.cast::<u32>().read() } as usize;
        check_size("struct_size", size)?;
        if size > SIZE {
            // SAFETY: within `size` bytes.
            let rest = unsafe { std::slice::from_raw_parts(from.add(SIZE), size - SIZE) };
            if let Some(at) = rest.iter().position(|&byte| byte != 0) {
                return Err(invalid(format!(
                    "byte {} of the config is not 0: it sets something that this version, {}, \
                     does not know",
                    SIZE + at,
                    env!("CARGO_PKG_VERSION"),
                )));
            }
        }
        // SAFETY: both are as large as `copy_members` asks, and one is our own.
        unsafe { copy_members(from, std::ptr::from_mut(&mut known).cast(), size) };
        Ok(known)
    }

    /// A builder with these settings and no callbacks.
    ///
    /// # Safety
    ///
    /// `interface_name` is NULL or a NUL-terminated string.
    pub(crate) unsafe fn builder(&self) -> Result<ThunderboltTransportBuilder, Failure> {
        // SAFETY: the caller's promise.
        let interface = unsafe { interface(self.interface_name) }?;
        Ok(ThunderboltTransportBuilder::new()
            .interface(interface)
            .control_port(self.control_port)
            .data_port(self.data_port)
            .buffer_size(bytes("buffer_size", self.buffer_size)?)
            .tcp_nodelay(self.tcp_nodelay != 0)
            .tcp_keepalive(self.tcp_keepalive != 0)
            .allow_any_source(self.allow_any_source != 0)
            .wait_for_interface(self.wait_for_interface != 0)
            .busy_poll(Duration::from_micros(self.busy_poll_us.into()))
            .receive_queue(self.receive_queue as usize)
            .receive_queue_bytes(bytes("receive_queue_bytes", self.receive_queue_bytes)?)
            .max_streams(self.max_streams)
            .max_silent_streams(self.max_silent_streams)
            .silent_after(Duration::from_millis(self.silent_after_ms.into()))
            .connect_timeout(Duration::from_millis(self.connect_timeout_ms.into()))
            .stream_dead_after(Duration::from_millis(self.stream_dead_after_ms.into()))
            .peer_timeout(Duration::from_millis(self.peer_timeout_ms.into()))
            .remember_peers(self.remember_peers != 0)
            .log_level(log_level(self.log_level)?))
    }
}

/// A number of bytes that memory can have.
pub(crate) fn bytes(name: &str, size: u64) -> Result<usize, Failure> {
    usize::try_from(size).map_err(|_| invalid(format!("{name} is {size}: too large")))
}

/// The level that is one of `DCF_TB_LOG_*`.
pub(crate) fn log_level(
    level: impl TryInto<i32> + fmt::Display + Copy,
) -> Result<LogLevel, Failure> {
    match level.try_into() {
        Ok(DCF_TB_LOG_DEBUG) => Ok(LogLevel::Debug),
        Ok(DCF_TB_LOG_INFO) => Ok(LogLevel::Info),
        Ok(DCF_TB_LOG_WARN) => Ok(LogLevel::Warn),
        Ok(DCF_TB_LOG_ERROR) => Ok(LogLevel::Error),
        _ => Err(invalid(format!(
            "log_level is {level}: it is 1 to 4, DCF_TB_LOG_DEBUG to DCF_TB_LOG_ERROR"
        ))),
    }
}

/// # Safety
///
/// `name` is NULL or a NUL-terminated string.
unsafe fn interface<'a>(name: *const c_char) -> Result<&'a str, Failure> {
    if name.is_null() {
        return Ok(thunderbolt_transport::DEFAULT_INTERFACE);
    }
    // SAFETY: not NULL, and the caller's promise.
    let name = unsafe { CStr::from_ptr(name) };
    match name.to_str() {
        Ok(text) if (1..libc::IFNAMSIZ).contains(&text.len()) => Ok(text),
        Ok(text) => {
            let hint = match interface_in(text) {
                Some(interface) => format!("; did you mean \"{interface}\"?"),
                None => String::new(),
            };
            Err(invalid(format!(
                "interface_name is {name:?}: the name of an interface has 1 to {} bytes{hint}",
                libc::IFNAMSIZ - 1
            )))
        }
        Err(_) => Err(invalid(format!("interface_name is {name:?}: not UTF-8"))),
    }
}

/// Fills a configuration with the defaults. Works in a forked child.
///
/// - `config`, `config_size`: the struct, and its size as the caller's header has it: pass
///   `sizeof(dcf_tb_config)`. No byte beyond it is touched. It becomes `struct_size`; what this
///   version does not know is zeroed. 4 to 4096.
///
/// Ownership: the struct is the caller's; `interface_name` gets a static text.
/// Blocks: never.
/// In callbacks: allowed.
/// Returns:
///   DCF_TB_OK
///   DCF_TB_ERR_NULL_POINTER     `config` is NULL
///   DCF_TB_ERR_CONFIG_INVALID   `config_size` is not the size of any version of the struct
#[no_mangle]
pub unsafe extern "C" fn dcf_tb_config_init(
    config: *mut dcf_tb_config,
    config_size: usize,
) -> dcf_tb_status {
    boundary::fork_safe("dcf_tb_config_init", || {
        if config.is_null() {
            return Err(Failure::null("config"));
        }
        check_size("config_size", config_size)?;
        let defaults = dcf_tb_config::default();
        let to = config.cast::<u8>();
        // SAFETY: the caller gives `config_size` bytes, at least the four of `struct_size`.
        unsafe {
            to.write_bytes(0, config_size);
            copy_members(std::ptr::from_ref(&defaults).cast(), to, config_size);
            to.cast::<u32>().write(config_size as u32);
        }
        Ok(())
    })
}

exported_since! {
    "DCF_TB_1.0":
    dcf_tb_config_init,
}

#[cfg(all(test, feature = "plugin"))] // the root package: what is tested
#[path = "config_tests.rs"]
mod tests;
