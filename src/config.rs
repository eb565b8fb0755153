//! The configuration: its defaults, its checks, and the builder that it becomes.

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

/// The settings of a transport. Fill the struct with `dcf_tb_config_init` first, then change
/// members. Later versions of this header may append members.
///
/// `dcf_tb_init` reads the struct, and the memory that it points to, only during the call. A
/// boolean member is true for every number except 0. `dcf_tb_set_option` can change a member later
/// if there is a `DCF_TB_OPTION_*` for it.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct dcf_tb_config {
    /// Size of this struct in the caller's header. `dcf_tb_config_init` sets it.
    pub struct_size: u32,
    /// UDP port of control messages and pings. Default 5000; 0 = any free port, see `dcf_tb_ports`.
    /// With 0, peer strings for messages and pings must contain a port, and discovery is not
    /// possible.
    pub control_port: u16,
    /// TCP port of data streams. Default 5001; 0 = any free port, see `dcf_tb_ports`. With 0, peer
    /// strings for streams must contain a port.
    pub data_port: u16,
    /// Name of the network interface, 1 to 15 bytes. Default "thunderbolt0" (also for NULL); "auto"
    /// = the interface of the driver thunderbolt-net. If there are several, `dcf_tb_init` fails and
    /// names them.
    pub interface_name: *const c_char,
    /// Bytes of socket buffer to request from the kernel. Default 64 MiB. The log and the
    /// statistics report how much the kernel granted.
    pub buffer_size: u64,
    /// Boolean: send small writes to a stream immediately (TCP_NODELAY). Default 1.
    pub tcp_nodelay: u8,
    /// Boolean: detect dead peers of idle streams (SO_KEEPALIVE). Default 1.
    pub tcp_keepalive: u8,
    /// Boolean: also accept traffic from sources that are neither link-local nor loopback. Default
    /// 0.
    pub allow_any_source: u8,
    /// Boolean: start even if the interface does not exist; the link comes up when it appears. If 0,
    /// `dcf_tb_init` fails without the interface. Default 0.
    pub wait_for_interface: u8,
    /// Microseconds to spin before sleeping. Applies to waits for messages and for pongs, and to
    /// reads from a stream on which short messages go back and forth. Default 50; 0 = never spin.
    pub busy_poll_us: u32,
    /// Maximum number of messages kept for `dcf_tb_recv` while there is no message callback. When
    /// the queue is full, new messages are dropped and counted. Default 1024.
    pub receive_queue: u32,
    /// Maximum number of open streams, both directions together. Default 1024.
    pub max_streams: u32,
    /// Maximum time to open a stream, in milliseconds. Default 10000.
    pub connect_timeout_ms: u32,
    /// Milliseconds that data may stay unacknowledged before the stream ends with
    /// `DCF_TB_ERR_CONNECTION_ABORTED` (TCP_USER_TIMEOUT). If `tcp_keepalive` is set, an idle
    /// stream is probed. A peer whose program does not read, but whose kernel answers, is alive.
    /// Default 10000; 0 = the system's.
    pub stream_dead_after_ms: u32,
    /// The lowest level (`DCF_TB_LOG_*`) to log. Records below it are not even formatted. Default
    /// `DCF_TB_LOG_INFO`.
    pub log_level: i32,
    /// Called for each control message, or NULL. Default NULL.
    pub on_message: dcf_tb_message_callback,
    /// Called for each stream that a peer opens, or NULL. Default NULL.
    pub on_stream: dcf_tb_stream_callback,
    /// Called for each log record, or NULL. Default NULL.
    pub on_log: dcf_tb_log_callback,
    /// Called when the link goes down or comes up, or NULL. Default NULL.
    pub on_link: dcf_tb_link_callback,
    /// Called once, as the last callback, when the transport has closed, or NULL. Default NULL. Not
    /// called if `dcf_tb_init` fails.
    pub on_closed: dcf_tb_closed_callback,
    /// Passed to all six callbacks. Default NULL.
    pub user_data: *mut c_void,
    /// Maximum total size of the messages in the receive queue, in bytes. Messages beyond it are
    /// dropped and counted. Default 64 MiB.
    pub receive_queue_bytes: u64,
    /// Maximum number of silent streams; 0 = no limit. A stream is silent if a peer opened it and
    /// neither side has sent data yet. At the limit, a new stream replaces the oldest silent one,
    /// if that is older than `silent_after_ms`. Otherwise the new stream is reset. Default 1000.
    pub max_silent_streams: u32,
    /// Milliseconds after which a silent stream can be replaced, once `max_silent_streams` is
    /// reached. Below that limit, silent streams stay open. Default 10000.
    pub silent_after_ms: u32,
    /// Called when a peer appears or vanishes, or NULL. Default NULL.
    pub on_peer: dcf_tb_peer_callback,
    /// Milliseconds without any traffic from a peer after which it vanishes, for `on_peer`. Default
    /// 5000; 0 = no limit. Without a limit, peers vanish only when the link goes down, and after
    /// 1,024 peers no other can appear until `dcf_tb_forget`.
    pub peer_timeout_ms: u32,
    /// Boolean: remember when each peer was last heard from, for `dcf_tb_last_heard`, even without
    /// a peer callback. Costs a few nanoseconds for each message. Default 0.
    pub remember_peers: u32,
}

const SIZE: usize = size_of::<dcf_tb_config>();

/// No version of the struct will be larger. A larger size means that the struct was not
/// initialized.
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

/// Offset and end of each member of the struct.
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

/// Copies the members that lie completely within `size` bytes. A caller with an older header has
/// only the first members, and a partial member has no meaning.
///
/// # Safety
///
/// `from` is readable and `to` is writable for `size` bytes, or for the size of the struct if that
/// is smaller. They do not overlap.
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
    /// Reads the caller's configuration, of any version. NULL gives the defaults.
    ///
    /// # Safety
    ///
    /// `config` is NULL, or points to as many bytes as its `struct_size` says.
    pub(crate) unsafe fn read(config: *const Self) -> Result<Self, Failure> {
        let mut known = Self::default();
        if config.is_null() {
            return Ok(known);
        }
        let from = config.cast::<u8>();
        // SAFETY: the first member is the size.
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
        // SAFETY: both have the size that `copy_members` needs, and one is a local variable.
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

/// Converts a number of bytes that must fit into memory.
pub(crate) fn bytes(name: &str, size: u64) -> Result<usize, Failure> {
    usize::try_from(size).map_err(|_| invalid(format!("{name} is {size}: too large")))
}

/// Converts a `DCF_TB_LOG_*` level.
pub(crate) fn log_level(
    level: impl TryInto<i32> + fmt::Display + Copy,
) -> Result<LogLevel, Failure> {
    match level.try_into() {
        Ok(DCF_TB_LOG_DEBUG) => Ok(LogLevel::Debug),
        Ok(DCF_TB_LOG_INFO) => Ok(LogLevel::Info),
        Ok(DCF_TB_LOG_WARN) => Ok(LogLevel::Warn),
        Ok(DCF_TB_LOG_ERROR) => Ok(LogLevel::Error),
        _ => Err(invalid(format!(
            "log_level is {level}: it must be 1 to 4, DCF_TB_LOG_DEBUG to DCF_TB_LOG_ERROR"
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
                "interface_name is {name:?}: an interface name has 1 to {} bytes{hint}",
                libc::IFNAMSIZ - 1
            )))
        }
        Err(_) => Err(invalid(format!("interface_name is {name:?}: not UTF-8"))),
    }
}

/// Fills a configuration with the defaults. Works in a forked child.
///
/// - `config`, `config_size`: the struct, and its size in the caller's header: pass
///   `sizeof(dcf_tb_config)`, 4 to 4096. The size becomes `struct_size`. Bytes that this version
///   does not know are set to 0, and no byte beyond the size is written.
///
/// Ownership: the struct belongs to the caller. `interface_name` points to static text.
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
        // SAFETY: the caller provides `config_size` bytes, at least the four of `struct_size`.
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
