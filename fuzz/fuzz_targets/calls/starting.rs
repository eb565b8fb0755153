//! Configurations of every size and content, and whether a transport starts with them.

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::mem::{offset_of, size_of};
use std::sync::atomic::Ordering;
use std::sync::Arc;

use dcf_thunderbolt::fuzzing::*;

use crate::contract::call;
use crate::operation::{Interface, OnMessage, Ports, Settings, Size};
use crate::recorder::{self, Recorder};
use crate::transports::{Counted, Transport};
use crate::world::World;

/// The most live transports.
const MOST: usize = 4;
const SIZE: usize = size_of::<dcf_tb_config>();

/// The range of bytes of each member.
macro_rules! members {
    ($($name:ident)*) => {
        [$({
            let start = offset_of!(dcf_tb_config, $name);
            (start, start + size_of_member(|config| &config.$name))
        }),*]
    };
}

const fn size_of_member<T>(_: fn(&dcf_tb_config) -> &T) -> usize {
    size_of::<T>()
}

const MEMBERS: [(usize, usize); 26] = members!(
    control_port data_port interface_name buffer_size tcp_nodelay tcp_keepalive allow_any_source
    wait_for_interface busy_poll_us receive_queue max_streams connect_timeout_ms
    stream_dead_after_ms log_level on_message on_stream on_log on_link on_closed user_data
    receive_queue_bytes max_silent_streams silent_after_ms on_peer peer_timeout_ms remember_peers
);

/// The struct of a caller whose header has another size for it.
struct Memory(Vec<u64>);

impl Memory {
    fn new(size: usize) -> Self {
        Self(vec![0; size.div_ceil(8)])
    }

    fn pointer(&mut self) -> *mut dcf_tb_config {
        self.0.as_mut_ptr().cast()
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the same memory as bytes.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * 8) }
    }
}

fn bytes_of(config: &dcf_tb_config) -> &[u8] {
    // SAFETY: C layout without padding (asserted where it is defined), so all bytes are set.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(config).cast(), SIZE) }
}

fn defaults() -> dcf_tb_config {
    let mut memory = Memory::new(SIZE);
    call!(dcf_tb_config_init(memory.pointer(), SIZE)).gives(DCF_TB_OK);
    // SAFETY: set just now.
    unsafe { *memory.pointer() }
}

impl Settings {
    fn config(&self, interface: Option<&CStr>, recorder: &Arc<Recorder>) -> dcf_tb_config {
        let mut config = defaults();
        (config.control_port, config.data_port) = match self.ports {
            Ports::Free => (0, 0),
            // Outside of the ephemeral port range.
            Ports::Own(which) => (20_000 + u16::from(which % 4), 20_100 + u16::from(which % 4)),
        };
        config.interface_name = interface.map_or(std::ptr::null(), CStr::as_ptr);
        // With a small buffer the kernel could drop messages, which the model cannot predict.
        config.buffer_size = self.buffer_size | 8 << 20;
        [
            config.tcp_nodelay,
            config.tcp_keepalive,
            config.allow_any_source,
        ] = self.booleans;
        config.wait_for_interface = u8::from(self.wait_for_interface >= 128);
        config.busy_poll_us = [0, 50, 1000, u32::MAX][usize::from(self.busy_poll % 4)];
        config.receive_queue = self.receive_queue.into();
        config.max_streams = self.max_streams.into();
        config.connect_timeout_ms = self.connect_timeout_ms;
        // With a short time, streams could end before their bytes are read.
        config.stream_dead_after_ms = match self.stream_dead_after_ms {
            ..30_000 => 0,
            long => long,
        };
        config.log_level = match self.log_level {
            level @ -1..=6 => level.into(),
            other => 1 + i32::from(other) & 3,
        };
        if matches!(self.size, Size::Smaller(_)) {
            return config; // the callbacks might be known, and their user_data not
        }
        config.on_message = self
            .on_message
            .then(|| recorder::on_message(OnMessage::Keep))
            .flatten();
        config.on_stream = self.on_stream.then_some(recorder::on_stream);
        config.on_log = self.on_log.then_some(recorder::on_log);
        config.on_link = self.on_link.then_some(recorder::on_link);
        config.on_peer = self.on_link.then_some(recorder::on_peer);
        config.on_closed = Some(recorder::on_closed);
        config.user_data = recorder.user_data();
        config
    }

    fn interface(&self) -> Option<CString> {
        match &self.interface {
            Interface::Loopback => Some(c"lo".to_owned()),
            Interface::Default => None,
            Interface::Auto => Some(c"auto".to_owned()),
            Interface::Named(bytes) => {
                let bytes: Vec<u8> = bytes
                    .iter()
                    .copied()
                    .take_while(|&byte| byte != 0)
                    .collect();
                Some(CString::new(bytes).expect("no NUL"))
            }
        }
    }
}

impl World {
    pub fn init(&mut self, settings: &Settings) {
        if self.transports.iter().filter(|one| one.live).count() == MOST {
            return;
        }
        let interface = settings.interface();
        let recorder = Arc::new(Recorder::default());
        let config = settings.config(interface.as_deref(), &recorder);
        let mut size_is_one = true;
        let size = match settings.size {
            Size::Ours => SIZE,
            Size::Null => 0,
            Size::Smaller(size) => 4 + usize::from(size) % (SIZE - 4),
            Size::Larger(more) => SIZE + usize::from(more),
            Size::Unknown(more, _) => SIZE + 1 + usize::from(more),
            Size::Nonsense(size) => {
                size_is_one = false;
                if size & 4 == 0 {
                    size as usize & 3
                } else {
                    size.max(4097) as usize
                }
            }
        };
        // Memory of that size; its first bytes have the known members.
        let mut memory = Memory::new(if size_is_one { size } else { SIZE });
        let known = size.min(SIZE).min(memory.bytes().len());
        memory.bytes()[..known].copy_from_slice(&bytes_of(&config)[..known]);
        if let Some(start) = memory.bytes().get_mut(..4) {
            start.copy_from_slice(&(size as u32).to_ne_bytes());
        }
        if let Size::Unknown(more, value) = settings.size {
            let place = SIZE + usize::from(value) % (1 + usize::from(more));
            memory.bytes()[place] = value.max(1);
            size_is_one = false;
        }
        let pointer = match settings.size {
            Size::Null => std::ptr::null(),
            _ => memory.pointer().cast_const(),
        };
        let config = as_read(&config, size);
        recorder
            .lowest_log_level
            .store(config.log_level.max(0) as usize, Ordering::SeqCst);

        let mut handle = 0x5A;
        let outcome = call!(dcf_tb_init(pointer, &mut handle));
        match self.expected(&config, size_is_one || pointer.is_null()) {
            Ok(name) => {
                outcome.gives(DCF_TB_OK);
                recorder.transport.store(handle, Ordering::SeqCst);
                self.add_transport(handle, name, &config, recorder);
            }
            Err(status) => {
                outcome.gives(status);
                assert_eq!(handle, 0x5A);
                assert_eq!(recorder.closed.load(Ordering::SeqCst), 0);
            }
        }
    }

    /// The name of the interface, or the status with which the start fails.
    fn expected(&self, config: &dcf_tb_config, size_is_one: bool) -> Result<String, i32> {
        if !size_is_one {
            return Err(DCF_TB_ERR_CONFIG_INVALID);
        }
        let name = match config.interface_name.is_null() {
            true => c"thunderbolt0",
            // SAFETY: a string of ours, or of the library's defaults.
            false => unsafe { CStr::from_ptr(config.interface_name) },
        };
        let name = name.to_str().map_err(|_| DCF_TB_ERR_CONFIG_INVALID)?;
        if !(1..16).contains(&name.len()) || !(1..=4).contains(&config.log_level) {
            return Err(DCF_TB_ERR_CONFIG_INVALID);
        }
        if name != "lo" && config.wait_for_interface == 0 {
            return Err(DCF_TB_ERR_INTERFACE_NOT_FOUND);
        }
        let taken = self.transports.iter().any(|one| {
            let same = one.control == config.control_port || one.data == config.data_port;
            one.live && one.up && same
        });
        if name == "lo" && taken {
            return Err(DCF_TB_ERR_ADDRESS_IN_USE);
        }
        Ok(name.to_owned())
    }

    fn add_transport(
        &mut self,
        handle: dcf_tb_transport,
        interface: String,
        config: &dcf_tb_config,
        recorder: Arc<Recorder>,
    ) {
        assert_ne!(handle, 0);
        let (mut control, mut data) = (0, 0);
        call!(dcf_tb_ports(handle, &mut control, &mut data)).gives(DCF_TB_OK);
        for (port, asked) in [(control, config.control_port), (data, config.data_port)] {
            assert!(port != 0 && (port == asked || asked == 0));
        }
        self.transports.push(Transport {
            handle,
            live: true,
            up: interface == "lo",
            interface,
            control,
            data,
            receive_queue: config.receive_queue as usize,
            max_streams: config.max_streams as usize,
            connect_timeout_ms: config.connect_timeout_ms,
            on_message: match config.on_message {
                Some(_) => OnMessage::Keep,
                None => OnMessage::None,
            },
            on_stream: config.on_stream.is_some(),
            tells_closed: config.on_closed.is_some(),
            recorder,
            event_fd: None,
            queue: VecDeque::new(),
            called: Vec::new(),
            compared: 0,
            pending: VecDeque::new(),
            streams_called: 0,
            open: 0,
            counted: Counted::default(),
        });
    }

    /// Checks that config_init writes exactly the size of the caller's struct.
    pub fn config_init(&mut self, size: usize) {
        const ROOM: usize = 16;
        let mut memory = vec![0x5A_5A_5A_5A_5A_5A_5A_5A_u64; size / 8 + ROOM];
        let pointer: *mut dcf_tb_config = memory.as_mut_ptr().cast();
        let outcome = call!(dcf_tb_config_init(pointer, size));
        let bytes: Vec<u8> = memory.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let written = match (4..=4096).contains(&size) {
            true => {
                outcome.gives(DCF_TB_OK);
                assert_eq!(bytes[..4], (size as u32).to_ne_bytes());
                assert!(bytes[SIZE.min(size)..size].iter().all(|&byte| byte == 0));
                size
            }
            false => {
                outcome.gives(DCF_TB_ERR_CONFIG_INVALID);
                0
            }
        };
        assert!(bytes[written..].iter().all(|&byte| byte == 0x5A));
    }
}

/// How the library reads a configuration of that size: members that are not wholly inside have their
/// defaults.
fn as_read(config: &dcf_tb_config, size: usize) -> dcf_tb_config {
    let mut read = defaults();
    let from = std::ptr::from_ref(config).cast::<u8>();
    for (start, end) in MEMBERS.into_iter().filter(|&(_, end)| end <= size) {
        // SAFETY: within both structs.
        unsafe {
            let to = std::ptr::from_mut(&mut read).cast::<u8>();
            std::ptr::copy_nonoverlapping(from.add(start), to.add(start), end - start);
        }
    }
    read
}
