//! Control messages: each arrives once, whole and in order, as long as there is room.

use std::ffi::CString;

use dcf_thunderbolt::fuzzing::*;

use crate::contract::call;
use crate::operation::{Handle, Message, OnMessage, Peer, Wait};
use crate::surroundings::GENEROUS_MS;
use crate::world::{expired, timeout, Part, Target, World};
use thunderbolt_transport::fuzzing::wire;
use thunderbolt_transport::MAX_MESSAGE_SIZE;

/// A message in flight.
#[derive(Debug, Clone)]
pub struct Sent {
    pub part: Part,
    /// The sender string that the receiver gets.
    pub sender: String,
}

/// The most messages of a batch, and the most bytes in one.
const MOST: usize = 300;
const MOST_BYTES: usize = 1 << 20;

/// The content of a datagram.
enum Content {
    /// A message of an application.
    Part(Part),
    /// A ping of the library, which is never delivered to an application.
    RoundTrip([u8; 16]),
}

impl Content {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Part(part) => part.bytes(),
            Self::RoundTrip(bytes) => bytes,
        }
    }
}

impl World {
    fn content(&mut self, message: Message) -> Content {
        let length = match message {
            Message::Small(length) => length.into(),
            Message::Large(length) => usize::from(length).min(MAX_MESSAGE_SIZE),
            Message::TooLarge(more) => MAX_MESSAGE_SIZE + 1 + usize::from(more),
            Message::Ping(token) => {
                return Content::RoundTrip(wire::ping(token));
            }
            Message::Pong(token) => {
                return Content::RoundTrip(wire::pong(token));
            }
        };
        Content::Part(self.part(length))
    }

    /// The sender string of a message for a transport.
    fn sender(&self, from: usize, to: usize) -> String {
        let port = self.transports[from].control;
        match port == self.transports[to].control {
            true => "::1%lo".to_owned(),
            false => format!("[::1%lo]:{port}"),
        }
    }

    pub fn send(&mut self, from: Handle, to: &Peer, message: Message, times: u16) {
        let content = self.content(message);
        let bytes = content.bytes();
        let (number, live) = self.transport(from);
        let Some(from) = live else {
            let outcome = call!(dcf_tb_send(
                number,
                c"::1".as_ptr(),
                bytes.as_ptr(),
                bytes.len()
            ));
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        let text = self.text(from, to, false);
        let target = self.target(from, &text, false);
        let times = match (&target, &content) {
            // Whether the next message finds the transport closed is a race.
            (Target::Live(to), _) if self.transports[*to].on_message == OnMessage::Close => 1,
            (Target::Live(_), Content::Part(part)) if part.length < 64 => 1 + times % 300,
            (Target::Everybody, _) => return,
            _ => 1,
        };
        let refused = self.refuses(from, &text, &target, bytes.len());
        for _ in 0..times {
            let outcome = call!(dcf_tb_send(
                number,
                text.as_ptr(),
                bytes.as_ptr(),
                bytes.len()
            ));
            match (refused, &target) {
                (Some(status), _) => return outcome.gives(status),
                (None, Target::Elsewhere) if !outcome.is_ok() => return,
                (None, _) => outcome.gives(DCF_TB_OK),
            }
            self.sent(from, &target, &content);
        }
        if let Target::Live(to) = target {
            self.settle(to);
        }
    }

    /// The status with which the library refuses a message before it calls the kernel.
    fn refuses(&self, from: usize, text: &CString, target: &Target, size: usize) -> Option<i32> {
        if text.to_str().is_err() {
            return Some(DCF_TB_ERR_INVALID_ADDRESS);
        }
        if size > MAX_MESSAGE_SIZE {
            return Some(DCF_TB_ERR_MESSAGE_TOO_LARGE);
        }
        match *target {
            Target::Refused(status) => Some(status),
            _ if !self.transports[from].up => Some(DCF_TB_ERR_LINK_DOWN),
            _ => None,
        }
    }

    fn sent(&mut self, from: usize, target: &Target, content: &Content) {
        let counted = &mut self.transports[from].counted;
        counted.messages_sent += 1;
        counted.bytes_sent += content.bytes().len() as u64;
        if let (Target::Live(to), Content::Part(part)) = (target, content) {
            let counted = &mut self.transports[*to].counted;
            counted.messages_received += 1;
            counted.bytes_received += part.length as u64;
            let sender = self.sender(from, *to);
            self.deliver(
                *to,
                Sent {
                    part: *part,
                    sender,
                },
            );
        }
    }

    /// Delivers a message that has arrived.
    pub fn deliver(&mut self, to: usize, sent: Sent) {
        let transport = &mut self.transports[to];
        if !transport.live {
            return;
        }
        match transport.on_message {
            OnMessage::Keep => transport.called.push(sent),
            OnMessage::KeepOne => {
                transport.called.push(sent);
                transport.on_message = OnMessage::None;
            }
            OnMessage::Close => {
                transport.called.push(sent);
                self.closed(to);
            }
            OnMessage::None if transport.queue.len() < transport.receive_queue => {
                transport.queue.push_back(sent);
            }
            OnMessage::None => transport.counted.messages_dropped += 1,
        }
    }

    pub fn send_batch(&mut self, from: Handle, datagrams: &[(Peer, Message)]) {
        let mut count = usize::MAX;
        let (number, live) = self.transport(from);
        let Some(from) = live else {
            let none = std::ptr::null();
            call!(dcf_tb_send_batch(number, none, 0, &mut count)).gives(DCF_TB_ERR_INVALID_HANDLE);
            return assert_eq!(count, 0);
        };
        let mut batch = Vec::new();
        let mut bytes = 0;
        for (peer, message) in datagrams.iter().take(MOST) {
            let content = self.content(*message);
            let text = self.text(from, peer, false);
            let target = self.target(from, &text, false);
            bytes += content.bytes().len();
            let closes = matches!(target, Target::Live(to)
                if self.transports[to].on_message == OnMessage::Close);
            if !matches!(target, Target::Everybody) && !closes && bytes < MOST_BYTES {
                batch.push((text, target, content));
            }
        }
        let array: Vec<_> = batch
            .iter()
            .map(|(text, _, content)| dcf_tb_datagram {
                peer: text.as_ptr(),
                data: content.bytes().as_ptr(),
                len: content.bytes().len(),
            })
            .collect();
        let outcome = call!(dcf_tb_send_batch(
            number,
            array.as_ptr(),
            array.len(),
            &mut count
        ));

        // The batch ends at the first refused message.
        let mut refusals = batch
            .iter()
            .map(|(text, target, content)| self.refuses(from, text, target, content.bytes().len()));
        let first_refused = refusals.position(|refused| refused.is_some());
        let elsewhere = |&(_, ref target, _): &(_, Target, _)| matches!(target, Target::Elsewhere);
        match (first_refused, batch.iter().any(elsewhere)) {
            (None, false) => {
                outcome.gives(DCF_TB_OK);
                assert_eq!(count, batch.len());
            }
            (Some(at), false) => {
                let (text, target, content) = &batch[at];
                let status = self.refuses(from, text, target, content.bytes().len());
                outcome.gives(status.expect("refused"));
                assert_eq!(count, at);
            }
            (at, true) => assert!(count <= at.unwrap_or(batch.len())),
        }
        for (_, target, content) in &batch[..count] {
            self.sent(from, target, content);
        }
        for at in 0..self.transports.len() {
            if self.transports[at].live {
                self.settle(at);
            }
        }
    }

    pub fn recv(&mut self, at: Handle, cap: usize, sender_cap: usize, wait: Wait) {
        let (number, live) = self.transport(at);
        let next = live.and_then(|at| self.transports[at].queue.front().cloned());
        let timeout_ms = timeout(wait, next.is_some());
        let (mut buffer, mut sender) = (vec![0x5A_u8; cap], vec![0x5A_u8; sender_cap]);
        let mut length = usize::MAX;
        let sender_pointer = match sender_cap {
            0 => std::ptr::null_mut(),
            _ => sender.as_mut_ptr().cast(),
        };
        let outcome = call!(dcf_tb_recv(
            number,
            buffer.as_mut_ptr(),
            cap,
            &mut length,
            sender_pointer,
            sender_cap,
            timeout_ms,
        ));
        let untouched = |buffer: &[u8]| buffer.iter().all(|&byte| byte == 0x5A);
        let Some(at) = live else {
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        let Some(next) = next else {
            assert!(untouched(&buffer) && untouched(&sender));
            return outcome.gives(expired(timeout_ms));
        };
        // The message was counted, but may not be in the queue yet.
        if timeout_ms != GENEROUS_MS && outcome.status == expired(timeout_ms) {
            return;
        }
        assert_eq!(length, next.part.length);
        let with_nul = [next.sender.as_bytes(), &[0]].concat();
        if cap < length || (1..with_nul.len()).contains(&sender_cap) {
            outcome.gives(DCF_TB_ERR_BUFFER_TOO_SMALL);
            return assert!(untouched(&buffer) && untouched(&sender));
        }
        outcome.gives(DCF_TB_OK);
        assert_eq!(&buffer[..length], next.part.bytes());
        assert!(untouched(&buffer[length..]));
        if sender_cap > 0 {
            assert_eq!(sender[..with_nul.len()], with_nul);
        }
        self.transports[at].queue.pop_front();
    }

    pub fn event_fd(&mut self, at: Handle) {
        let (number, live) = self.transport(at);
        let mut fd = -1;
        let outcome = call!(dcf_tb_event_fd(number, &mut fd));
        let Some(at) = live else {
            return outcome.gives(DCF_TB_ERR_INVALID_HANDLE);
        };
        outcome.gives(DCF_TB_OK);
        let transport = &mut self.transports[at];
        assert_eq!(*transport.event_fd.get_or_insert(fd), fd);
        let ready = !transport.queue.is_empty() || !transport.pending.is_empty();
        let mut interest = libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        let limit = if ready { GENEROUS_MS as i32 } else { 0 };
        // SAFETY: one entry.
        let polled = unsafe { libc::poll(&mut interest, 1, limit) };
        assert_eq!(polled, i32::from(ready));
    }
}
