//! The parts of an Ethernet frame that the lossy link looks at.

/// Length of the Ethernet header: destination, source, type.
const ETHERNET: usize = 14;
const IPV6: usize = 40;
/// Place of the type in the Ethernet header.
const TYPE: std::ops::Range<usize> = 12..14;
const TYPE_IPV6: [u8; 2] = [0x86, 0xDD];
const NEXT_HEADER: usize = ETHERNET + 6;
const FRAGMENT: u8 = 44;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// What a frame carries. A fragment has the kind of its whole packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Udp,
    Tcp,
    /// Neighbour discovery and the like.
    Other,
}

impl Kind {
    pub const COUNT: usize = 3;

    pub fn of(frame: &[u8]) -> Self {
        if frame.get(TYPE) != Some(&TYPE_IPV6) {
            return Self::Other;
        }
        let protocol = match frame.get(NEXT_HEADER) {
            Some(&FRAGMENT) => frame.get(ETHERNET + IPV6),
            other => other,
        };
        match protocol {
            Some(&UDP) => Self::Udp,
            Some(&TCP) => Self::Tcp,
            _ => Self::Other,
        }
    }
}

/// Flips one bit behind the IPv6 header: number `bit`, modulo the number of bits there. False when
/// there are none.
pub(super) fn flip(frame: &mut [u8], bit: u64) -> bool {
    let Some(payload) = frame.get_mut(ETHERNET + IPV6..).filter(|p| !p.is_empty()) else {
        return false;
    };
    let bit = bit % (payload.len() as u64 * 8);
    payload[(bit / 8) as usize] ^= 1 << (bit % 8);
    true
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An IPv6 frame with this next header and payload.
    pub fn frame(next_header: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; ETHERNET + IPV6];
        frame[TYPE].copy_from_slice(&TYPE_IPV6);
        frame[NEXT_HEADER] = next_header;
        frame.extend(payload);
        frame
    }

    #[test]
    fn kinds_are_distinguished() {
        assert_eq!(Kind::of(&frame(UDP, b"ping")), Kind::Udp);
        assert_eq!(Kind::of(&frame(TCP, b"")), Kind::Tcp);
        assert_eq!(Kind::of(&frame(58, b"neighbour")), Kind::Other);
        assert_eq!(Kind::of(&frame(FRAGMENT, &[UDP, 0, 0, 0])), Kind::Udp);
        assert_eq!(Kind::of(&frame(FRAGMENT, b"")), Kind::Other);
        assert_eq!(Kind::of(b"short"), Kind::Other);
        let mut other = frame(UDP, b"ping");
        other[TYPE.start] = 0;
        assert_eq!(Kind::of(&other), Kind::Other);
    }

    #[test]
    fn exactly_one_bit_of_the_payload_is_flipped() {
        for bit in [0, 1, 7, 8, 31, 32, u64::MAX] {
            let before = frame(UDP, b"ping");
            let mut after = before.clone();
            assert!(flip(&mut after, bit));
            let differing: u32 = before
                .iter()
                .zip(&after)
                .map(|(a, b)| (a ^ b).count_ones())
                .sum();
            assert_eq!(differing, 1);
            assert_eq!(before[..ETHERNET + IPV6], after[..ETHERNET + IPV6]);
        }
        assert!(!flip(&mut frame(UDP, b""), 3));
        assert!(!flip(&mut b"short".to_vec(), 3));
    }
}
