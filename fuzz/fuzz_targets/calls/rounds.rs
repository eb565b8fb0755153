//! Round trips, discovery, statistics, and NULL for required pointers.

use std::ptr::{null, null_mut};

use dcf_thunderbolt::fuzzing::*;

use crate::contract::{call, Outcome};
use crate::operation::{Handle, Peer, Wait};
use crate::transports::Counted;
use crate::world::{expired, timeout, Target, World};

impl World {
    /// The statuses that a round trip may have; empty if it must not be tried.
    fn round_trip(&self, from: usize, target: &Target, timeout_ms: u32, sure: bool) -> Vec<i32> {
        let late = expired(timeout_ms);
        match *target {
            Target::Refused(status) => vec![status],
            Target::Everybody => vec![DCF_TB_ERR_INVALID_ADDRESS],
            _ if !self.transports[from].up => vec![DCF_TB_ERR_LINK_DOWN],
            Target::Live(_) if sure => vec![DCF_TB_OK],
            Target::Live(_) => vec![DCF_TB_OK, late],
            Target::Nobody => vec![late, DCF_TB_ERR_CONNECTION_REFUSED],
            Target::Elsewhere => Vec::new(),
        }
    }

    pub fn measure_rtt(&mut self, from: Handle, to: &Peer, wait: Wait) {
        let (number, live) = self.transport(from);
        let mut rtt = 0;
        let Some(from) = live else {
            let outcome = call!(dcf_tb_measure_rtt(number, c"::1".as_ptr(), 0, &mut rtt));
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        let text = self.text(from, to, false);
        let target = self.target(from, &text, false);
        let sure = wait == Wait::Long && matches!(target, Target::Live(_));
        let timeout_ms = timeout(wait, sure);
        let outcome = call!(dcf_tb_measure_rtt(
            number,
            text.as_ptr(),
            timeout_ms,
            &mut rtt
        ));
        let allowed = self.round_trip(from, &target, timeout_ms, sure);
        if !allowed.is_empty() {
            outcome.gives_one_of(&allowed);
        }
        assert_eq!(outcome.is_ok(), rtt > 0);
    }

    #[allow(clippy::too_many_arguments)] // as the function that it calls
    pub fn ping(
        &mut self,
        from: Handle,
        to: &Peer,
        count: u32,
        interval_us: u32,
        wait: Wait,
        size: usize,
    ) {
        let (number, live) = self.transport(from);
        let count = count % 4;
        let mut memory = vec![0x5A5A_5A5A_5A5A_5A5A_u64; size_of::<dcf_tb_rtt>() / 8 + 40];
        let summary: *mut dcf_tb_rtt = memory.as_mut_ptr().cast();
        // SAFETY: there is room for it.
        unsafe { summary.cast::<u32>().write(size as u32) };
        let Some(from) = live else {
            let outcome = call!(dcf_tb_ping(number, c"::1".as_ptr(), 1, 0, 0, summary));
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        let text = self.text(from, to, false);
        let target = self.target(from, &text, false);
        let sure = wait == Wait::Long && matches!(target, Target::Live(_));
        let timeout_ms = timeout(wait, sure);
        let outcome = call!(dcf_tb_ping(
            number,
            text.as_ptr(),
            count,
            interval_us,
            timeout_ms,
            summary
        ));
        if text.to_str().is_err() {
            return outcome.gives(DCF_TB_ERR_INVALID_ADDRESS);
        }
        if size < 4 || count == 0 {
            return outcome.gives(DCF_TB_ERR_OUT_OF_RANGE);
        }
        let allowed = self.round_trip(from, &target, timeout_ms, sure);
        if !allowed.is_empty() {
            outcome.gives_one_of(&allowed);
        }
        // Only the members that fit are written.
        let bytes: Vec<u8> = memory.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(bytes[..4], (size as u32).to_ne_bytes());
        let end = size.min(size_of::<dcf_tb_rtt>());
        assert!(bytes[end..].iter().all(|&byte| byte == 0x5A));
        if end >= 12 && outcome.is_ok() {
            let number = |at: usize| u32::from_ne_bytes(*bytes[at..].first_chunk().expect("four"));
            assert_eq!(number(4), count);
            assert!((1..=count).contains(&number(8)));
        }
    }

    pub fn discover(&mut self, from: Handle, cap: usize, wait: Wait) {
        let (number, live) = self.transport(from);
        let nobody = dcf_tb_peer {
            address: [0x5A; DCF_TB_PEER_SIZE],
            rtt_ns: 0,
        };
        let mut peers = vec![nobody; cap];
        let mut count = usize::MAX;
        let timeout_ms = timeout(wait, false);
        let outcome = call!(dcf_tb_discover(
            number,
            timeout_ms,
            peers.as_mut_ptr(),
            cap,
            &mut count
        ));
        assert_eq!(count, 0);
        match live {
            None => outcome.gives(DCF_TB_ERR_INVALID_HANDLE),
            Some(from) if !self.transports[from].up => {
                outcome.gives_one_of(&[DCF_TB_ERR_LINK_DOWN]);
            }
            // The loopback interface has no multicast, so discovery finds no peer.
            Some(_) => {
                outcome.gives_one_of(&[DCF_TB_OK, expired(timeout_ms)]);
            }
        }
    }

    pub fn get_stats(&mut self, of: Handle, size: usize) {
        let (number, live) = self.transport(of);
        let whole = size_of::<dcf_tb_stats>();
        let size = size % (whole + 32);
        let mut memory = vec![0x5A5A_5A5A_5A5A_5A5A_u64; whole / 8 + 8];
        let stats: *mut dcf_tb_stats = memory.as_mut_ptr().cast();
        // SAFETY: there is room for it.
        unsafe { stats.cast::<u32>().write(size as u32) };
        let outcome = call!(dcf_tb_get_stats(number, stats));
        let Some(of) = live else {
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        if size < 4 {
            return outcome.gives(DCF_TB_ERR_OUT_OF_RANGE);
        }
        outcome.gives(DCF_TB_OK);
        let bytes: Vec<u8> = memory.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(bytes[..4], (size as u32).to_ne_bytes());
        assert!(bytes[size.min(whole)..].iter().all(|&byte| byte == 0x5A));
        self.expect_counted(of);
    }

    /// Compares every counter with the model.
    pub fn expect_counted(&self, of: usize) {
        let transport = &self.transports[of];
        let (stats, counted) = (transport.stats(), &transport.counted);
        assert_eq!(stats.link_up, u32::from(transport.up));
        assert_eq!(stats.messages_sent, counted.messages_sent);
        assert_eq!(stats.bytes_sent, counted.bytes_sent);
        assert_eq!(stats.messages_received, counted.messages_received);
        assert_eq!(stats.bytes_received, counted.bytes_received);
        assert_eq!(stats.messages_dropped, counted.messages_dropped);
        assert_eq!(stats.connections_accepted, counted.connections_accepted);
        assert_eq!(stats.connections_initiated, counted.connections_initiated);
        assert_eq!(stats.rejected, counted.rejected);
        assert_eq!(stats.rejected_max_streams, counted.rejected);
        assert_eq!(stats.dropped_memory, 0);
        assert_eq!(stats.stream_bytes_sent, counted.stream_bytes_sent);
        assert_eq!(stats.stream_bytes_received, counted.stream_bytes_received);
        assert_eq!(stats.streams_open, transport.open as u64);
        assert_eq!(stats.kernel_drops, 0);
        assert_eq!(stats.callback_failures, 0);
    }

    pub fn reset_stats(&mut self, of: Handle) {
        let (number, live) = self.transport(of);
        let outcome = call!(dcf_tb_reset_stats(number));
        match live {
            Some(of) => {
                outcome.gives(DCF_TB_OK);
                self.transports[of].counted = Counted::default();
            }
            None => outcome.gives(DCF_TB_ERR_INVALID_HANDLE),
        }
    }

    /// Calls every function with each required pointer as NULL, on handles that may be live.
    pub fn nulls(&mut self, transport: Handle, stream: Handle) {
        let ((t, on_transport), (s, on_stream)) = (self.transport(transport), self.stream(stream));
        let (mut byte, mut size, mut port) = (0_u8, 0_usize, 0_u16);
        let (mut long, mut stats) = (0_u64, [16_u64; 64]);
        let peer = c"::1".as_ptr();
        let of_transport = [
            call!(dcf_tb_is_running(t, null_mut())),
            call!(dcf_tb_interface(t, null_mut(), 1, &mut size)),
            call!(dcf_tb_interface(t, null_mut(), 0, null_mut())),
            call!(dcf_tb_ports(t, null_mut(), &mut port)),
            call!(dcf_tb_ports(t, &mut port, null_mut())),
            call!(dcf_tb_send(t, null(), &byte, 1)),
            call!(dcf_tb_send(t, peer, null(), 1)),
            call!(dcf_tb_send_batch(t, null(), 1, &mut size)),
            call!(dcf_tb_send_batch(t, null(), 0, null_mut())),
            call!(dcf_tb_recv(t, null_mut(), 1, &mut size, null_mut(), 0, 0)),
            call!(dcf_tb_recv(t, &mut byte, 0, null_mut(), null_mut(), 0, 0)),
            call!(dcf_tb_recv(t, &mut byte, 0, &mut size, null_mut(), 1, 0)),
            call!(dcf_tb_event_fd(t, null_mut())),
            call!(dcf_tb_open_stream(t, null(), 1, &mut long)),
            call!(dcf_tb_open_stream(t, peer, 1, null_mut())),
            call!(dcf_tb_accept(t, 0, null_mut())),
            call!(dcf_tb_measure_rtt(t, null(), 0, &mut long)),
            call!(dcf_tb_measure_rtt(t, peer, 0, null_mut())),
            call!(dcf_tb_ping(t, null(), 1, 0, 0, stats.as_mut_ptr().cast())),
            call!(dcf_tb_ping(t, peer, 1, 0, 0, null_mut())),
            call!(dcf_tb_discover(t, 0, null_mut(), 1, &mut size)),
            call!(dcf_tb_discover(t, 0, null_mut(), 0, null_mut())),
            call!(dcf_tb_get_stats(t, null_mut())),
        ];
        let of_stream = [
            call!(dcf_tb_stream_write(s, null(), 1, 0, &mut size)),
            call!(dcf_tb_stream_write(s, &byte, 1, 0, null_mut())),
            call!(dcf_tb_stream_read(s, null_mut(), 1, 0, &mut size)),
            call!(dcf_tb_stream_read(s, &mut byte, 1, 0, null_mut())),
            call!(dcf_tb_stream_send_file(s, 0, 0, 1, 0, null_mut())),
            call!(dcf_tb_stream_receive_file(s, 0, 0, 1, 0, null_mut())),
            call!(dcf_tb_stream_peer(s, null_mut(), 1, &mut size)),
            call!(dcf_tb_stream_peer(s, null_mut(), 0, null_mut())),
            call!(dcf_tb_stream_fd(s, null_mut())),
            call!(dcf_tb_stream_detach(s, null_mut())),
        ];
        let expect = |outcomes: &[Outcome], live| {
            for outcome in outcomes {
                outcome.gives(if live {
                    DCF_TB_ERR_NULL_POINTER
                } else {
                    DCF_TB_ERR_INVALID_HANDLE
                });
            }
        };
        expect(&of_transport, on_transport.is_some());
        expect(&of_stream, on_stream.is_some());
        call!(dcf_tb_init(null(), null_mut())).gives(DCF_TB_ERR_NULL_POINTER);
        call!(dcf_tb_config_init(null_mut(), 8)).gives(DCF_TB_ERR_NULL_POINTER);
    }
}
