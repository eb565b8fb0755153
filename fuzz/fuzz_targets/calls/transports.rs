//! Transports: start, close, state, callbacks.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::thread;

use dcf_thunderbolt::fuzzing::*;

use crate::contract::call;
use crate::messages::Sent;
use crate::operation::{Handle, OnMessage};
use crate::recorder::{self, Recorder};
use crate::streams::Place;
use crate::surroundings::wait_until;
use crate::world::World;

/// A transport that was started.
pub struct Transport {
    pub handle: dcf_tb_transport,
    /// Not closed.
    pub live: bool,
    /// Its interface is up.
    pub up: bool,
    pub interface: String,
    pub control: u16,
    pub data: u16,
    pub receive_queue: usize,
    pub max_streams: usize,
    pub connect_timeout_ms: u32,
    pub recorder: Arc<Recorder>,
    /// It has an `on_closed` callback.
    pub tells_closed: bool,
    pub on_message: OnMessage,
    pub on_stream: bool,
    pub event_fd: Option<i32>,
    /// Messages that wait for `dcf_tb_recv`.
    pub queue: VecDeque<Sent>,
    /// Messages that callbacks have been called with.
    pub called: Vec<Sent>,
    /// How many of these messages were compared.
    pub compared: usize,
    /// Connections that wait for `dcf_tb_accept`.
    pub pending: VecDeque<usize>,
    /// Streams that callbacks have been called with.
    pub streams_called: usize,
    /// Open streams, the pending ones among them.
    pub open: usize,
    pub counted: Counted,
}

/// The expected statistics.
#[derive(Default)]
pub struct Counted {
    pub messages_sent: u64,
    pub bytes_sent: u64,
    pub messages_received: u64,
    pub bytes_received: u64,
    pub messages_dropped: u64,
    pub connections_accepted: u64,
    pub connections_initiated: u64,
    pub rejected: u64,
    pub stream_bytes_sent: u64,
    pub stream_bytes_received: u64,
}

impl Transport {
    pub fn stats(&self) -> dcf_tb_stats {
        // SAFETY: numbers, for which zero is a valid value.
        let mut stats: dcf_tb_stats = unsafe { std::mem::zeroed() };
        stats.struct_size = size_of::<dcf_tb_stats>() as u32;
        call!(dcf_tb_get_stats(self.handle, &mut stats)).gives(DCF_TB_OK);
        stats
    }

    /// `on_closed` was called, once.
    pub fn expect_closed(&self) {
        let expected = usize::from(self.tells_closed);
        assert_eq!(self.recorder.closed.load(Ordering::SeqCst), expected);
    }
}

impl World {
    pub fn close(&mut self, at: Handle) {
        let (number, live) = self.transport(at);
        let outcome = call!(dcf_tb_close(number));
        let Some(at) = live else {
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        outcome.gives(DCF_TB_OK);
        self.closed(at);
        self.transports[at].expect_closed();
        call!(dcf_tb_close(number)).gives(DCF_TB_ERR_INVALID_HANDLE);
    }

    /// Closes a transport while other threads wait in calls on it.
    pub fn close_under_waiters(&mut self, at: Handle) {
        let (number, Some(at)) = self.transport(at) else {
            return self.close(at);
        };
        let transport = &self.transports[at];
        let receives = transport.queue.is_empty();
        let accepts = transport.pending.is_empty();
        let reads = self.quiet_stream(at);
        thread::scope(|scope| {
            let mut waiters = Vec::new();
            if receives {
                waiters.push(scope.spawn(move || {
                    let (mut byte, mut length) = (0, 0);
                    let (none, forever) = (std::ptr::null_mut(), DCF_TB_WAIT_FOREVER);
                    call!(dcf_tb_recv(
                        number,
                        &mut byte,
                        1,
                        &mut length,
                        none,
                        0,
                        forever
                    ))
                }));
            }
            if accepts {
                waiters.push(scope.spawn(move || {
                    let mut stream = 0;
                    call!(dcf_tb_accept(number, DCF_TB_WAIT_FOREVER, &mut stream))
                }));
            }
            if let Some(stream) = reads {
                waiters.push(scope.spawn(move || read_forever(stream)));
            }
            call!(dcf_tb_close(number)).gives(DCF_TB_OK);
            for waiter in waiters {
                let outcome = waiter.join().expect("no panic");
                // INVALID_HANDLE if the call began too late.
                // EOF if both ends of the stream belong to this transport, and the other end closed first.
                outcome.gives_one_of(&[DCF_TB_CANCELLED, DCF_TB_ERR_INVALID_HANDLE, DCF_TB_EOF]);
            }
        });
        self.closed(at);
        self.transports[at].expect_closed();
    }

    /// Records that a transport was closed.
    pub fn closed(&mut self, at: usize) {
        for connection in &mut self.connections {
            for side in [0, 1] {
                let end = &connection.ends[side];
                if end.owner == at && !matches!(end.place, Place::Detached(_)) {
                    connection.close_end(side);
                }
            }
        }
        let transport = &mut self.transports[at];
        transport.live = false;
        transport.queue.clear();
        transport.pending.clear();
    }

    pub fn is_running(&mut self, at: Handle) {
        let (number, live) = self.transport(at);
        let mut running = 0x5A;
        let outcome = call!(dcf_tb_is_running(number, &mut running));
        match live {
            Some(_) => {
                outcome.gives(DCF_TB_OK);
                assert_eq!(running, 1);
            }
            None => {
                outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
                assert_eq!(running, 0x5A);
            }
        }
    }

    pub fn interface(&mut self, at: Handle, cap: usize) {
        let (number, live) = self.transport(at);
        let (mut buffer, mut length) = (vec![0x5A_u8; cap], usize::MAX);
        let buf = buffer.as_mut_ptr().cast();
        let outcome = call!(dcf_tb_interface(number, buf, cap, &mut length));
        match live {
            Some(at) => expect_text(outcome, &buffer, length, &self.transports[at].interface),
            None => outcome.gives(DCF_TB_ERR_INVALID_HANDLE),
        }
    }

    pub fn ports(&mut self, at: Handle) {
        let (number, live) = self.transport(at);
        let (mut control, mut data) = (0, 0);
        let outcome = call!(dcf_tb_ports(number, &mut control, &mut data));
        match live {
            Some(at) => {
                outcome.gives(DCF_TB_OK);
                let transport = &self.transports[at];
                assert_eq!((control, data), (transport.control, transport.data));
            }
            None => outcome.gives(DCF_TB_ERR_INVALID_HANDLE),
        }
    }

    pub fn set_message_callback(&mut self, at: Handle, what: OnMessage) {
        let (number, live) = self.transport(at);
        let callback = recorder::on_message(what);
        let user_data = live.map_or(std::ptr::null_mut(), |at| {
            self.transports[at].recorder.user_data()
        });
        let outcome = call!(dcf_tb_set_message_callback(number, callback, user_data));
        let Some(at) = live else {
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        outcome.gives(DCF_TB_OK);
        self.transports[at].on_message = what;
        // Queued messages go to the new callback.
        for sent in std::mem::take(&mut self.transports[at].queue) {
            self.deliver(at, sent);
        }
        self.settle(at);
    }

    pub fn set_stream_callback(&mut self, at: Handle, on: bool) {
        let (number, live) = self.transport(at);
        let callback = on.then_some(recorder::on_stream as _);
        let user_data = live.map_or(std::ptr::null_mut(), |at| {
            self.transports[at].recorder.user_data()
        });
        let outcome = call!(dcf_tb_set_stream_callback(number, callback, user_data));
        let Some(at) = live else {
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        outcome.gives(DCF_TB_OK);
        self.transports[at].on_stream = on;
        if on {
            self.streams_called(at);
        }
    }

    pub fn set_log_callback(&mut self, at: Handle, on: bool) {
        let (number, live) = self.transport(at);
        let callback = live.filter(|_| on).map(|_| recorder::on_log as _);
        let user_data = live.map_or(std::ptr::null_mut(), |at| {
            self.transports[at].recorder.user_data()
        });
        call!(dcf_tb_set_log_callback(number, callback, user_data)).gives(match live {
            Some(_) => DCF_TB_OK,
            None => DCF_TB_ERR_INVALID_HANDLE,
        });
    }

    pub fn set_link_callback(&mut self, at: Handle, on: bool) {
        let (number, live) = self.transport(at);
        let callback = live.filter(|_| on).map(|_| recorder::on_link as _);
        let user_data = live.map_or(std::ptr::null_mut(), |at| {
            self.transports[at].recorder.user_data()
        });
        call!(dcf_tb_set_link_callback(number, callback, user_data)).gives(match live {
            Some(_) => DCF_TB_OK,
            None => DCF_TB_ERR_INVALID_HANDLE,
        });
    }

    /// Waits until everything sent to a transport is delivered, and compares it.
    pub fn settle(&mut self, at: usize) {
        let transport = &mut self.transports[at];
        let recorder = Arc::clone(&transport.recorder);
        wait_until("callbacks are called", || {
            recorder.messages().len() >= transport.called.len()
        });
        let calls = recorder.messages();
        assert_eq!(calls.len(), transport.called.len());
        for (call, sent) in calls.iter().zip(&transport.called).skip(transport.compared) {
            assert_eq!(call.0, sent.part.bytes());
            assert_eq!(call.1, sent.sender);
        }
        transport.compared = calls.len();
        drop(calls);
        if !transport.live {
            // Closed by its own callback.
            return wait_until("on_closed is called", || {
                !transport.tells_closed || recorder.closed.load(Ordering::SeqCst) == 1
            });
        }
        wait_until("messages arrive", || {
            let (stats, counted) = (transport.stats(), &transport.counted);
            stats.messages_received == counted.messages_received
                && stats.messages_dropped == counted.messages_dropped
        });
    }
}

/// Checks a text that was copied, or did not fit.
pub fn expect_text(outcome: crate::contract::Outcome, buffer: &[u8], length: usize, text: &str) {
    let with_nul = [text.as_bytes(), &[0]].concat();
    match buffer.get(..with_nul.len()) {
        Some(copied) => {
            outcome.gives(DCF_TB_OK);
            assert_eq!((copied, length), (&with_nul[..], text.len()));
        }
        None => {
            outcome.gives(DCF_TB_ERR_BUFFER_TOO_SMALL);
            assert_eq!(length, with_nul.len());
            assert!(buffer.iter().all(|&byte| byte == 0x5A));
        }
    }
}

pub fn read_forever(stream: dcf_tb_stream) -> crate::contract::Outcome {
    let (mut byte, mut count) = (0, 0);
    call!(dcf_tb_stream_read(
        stream,
        &mut byte,
        1,
        DCF_TB_WAIT_FOREVER,
        &mut count
    ))
}
