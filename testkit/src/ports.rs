//! Ports for tests that need to know them beforehand.

use std::net::{Ipv6Addr, TcpListener, UdpSocket};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the kernel's ephemeral port range.
const FIRST: u32 = 10_000;
const SPAN: u32 = 20_000;

/// Two neighbouring ports that are free at the moment, the first for UDP and the second for TCP. Each
/// call returns another pair.
///
/// Prefer a transport with port 0, because another process could take these ports before they are
/// used.
pub fn free_ports() -> (u16, u16) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..SPAN {
        let step = process::id()
            .wrapping_mul(38)
            .wrapping_add(NEXT.fetch_add(2, Ordering::Relaxed));
        let control = u16::try_from(FIRST + step % SPAN).expect("the range is within 16 bits");
        let data = control + 1;
        let udp = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, control));
        let tcp = TcpListener::bind((Ipv6Addr::UNSPECIFIED, data));
        if udp.is_ok() && tcp.is_ok() {
            return (control, data);
        }
    }
    panic!("no free pair of ports between {FIRST} and {}", FIRST + SPAN);
}

#[cfg(test)]
mod tests {
    use super::free_ports;

    #[test]
    fn every_call_gives_another_pair() {
        assert_ne!(free_ports(), free_ports());
    }
}
