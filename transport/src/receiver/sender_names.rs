//! The peer strings of recent senders: making one costs more than receiving the message.

use std::net::SocketAddrV6;

use crate::address;
use crate::clock_cache::ClockCache;
use crate::context::Context;
use crate::sender_name::SenderName;
use crate::sys::reserve_alloc;

/// The peer strings of recent senders.
pub(super) struct SenderNameCache {
    /// The interface's name with which they end.
    interface: String,
    names: ClockCache<SocketAddrV6, SenderName>,
    last: Option<(SocketAddrV6, SenderName)>,
}

impl Default for SenderNameCache {
    fn default() -> Self {
        Self {
            interface: String::new(),
            names: ClockCache::new(Self::LIMIT),
            last: None,
        }
    }
}

impl SenderNameCache {
    /// The senders that are kept; more than a mesh has.
    const LIMIT: usize = 4096;

    /// The last sender is looked up again: its interface may have been renamed.
    pub fn forget_last(&mut self) {
        self.last = None;
    }

    #[inline]
    pub fn of(&mut self, context: &Context, from: SocketAddrV6) -> &SenderName {
        let last = match self.last.take() {
            Some(last) if last.0 == from => last,
            _ => (from, self.look_up(context, from)),
        };
        &self.last.insert(last).1
    }

    fn look_up(&mut self, context: &Context, from: SocketAddrV6) -> SenderName {
        let interface = context.link.name();
        if self.interface != interface || reserve_alloc::is_short() {
            self.names.clear();
            self.interface = interface;
        }
        if let Some(name) = self.names.get(&from) {
            return name.clone();
        }
        let text = address::format(&from, &self.interface, context.own_control_port());
        let name = SenderName::new(&text);
        self.names.insert(from, name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use std::net::Ipv6Addr;

    #[test]
    fn made_up_senders_do_not_replace_the_name_of_one_that_sends_again() {
        let context = Context::new(Settings::default(), None, false).unwrap();
        let mut names = SenderNameCache::default();
        let mut name_of = |n: u32| {
            let ip = Ipv6Addr::from((0xfe80 << 112) | u128::from(n));
            let from = SocketAddrV6::new(ip, 5000, 0, 1);
            names.of(&context, from).as_str().as_ptr()
        };
        let once = name_of(0);
        name_of(1);
        assert_eq!(name_of(0), once);
        for made_up in 0..3 * SenderNameCache::LIMIT as u32 {
            name_of(1000 + made_up);
        }
        assert_eq!(name_of(0), once);
        assert!(names.names.len() <= SenderNameCache::LIMIT);
    }
}
