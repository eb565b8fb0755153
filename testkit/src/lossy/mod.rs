//! A cable with a link in between that does what links should not do.
//!
//! Both ends are TAP devices; one thread for each direction carries their packets from one to the
//! other, by a schedule. A TAP device without offloads has the kernel fill in every checksum when a
//! packet leaves, cut every segment to the MTU, and verify the checksums of all that come in.

mod faults;
mod line;
mod packet;
#[cfg(test)]
mod tests;
mod way;

use std::io::{self, PipeWriter};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use crate::cable::{Cable, HARDWARE, INTERFACE, MTU};
use crate::host::Host;

pub use faults::Faults;
pub use way::{Record, Tally, Way};

/// Packets that wait for a thread of ours to carry them. A device drops what is more, without a
/// record.
const QUEUE: &str = "10000";

/// Two hosts joined by a cable like [`Cable`]'s, whose faults can be chosen at any time: none at
/// first. All of it goes away with this value.
#[derive(Debug)]
pub struct LossyCable {
    /// Its hosts; nothing is plugged in between them but what is here.
    cable: Cable,
    ways: [Arc<Way>; 2],
    carriers: Vec<JoinHandle<()>>,
    stop: Option<PipeWriter>,
}

impl LossyCable {
    /// Two hosts, plugged together, with usable addresses.
    ///
    /// # Panics
    ///
    /// When this process may not use `/dev/net/tun`; the message says what to do.
    pub fn new() -> Self {
        let cable = Cable::unplugged();
        let ends = [cable.a(), cable.b()].map(|host| Arc::new(host.run(open)));
        for (host, hardware) in [cable.a(), cable.b()].into_iter().zip(HARDWARE) {
            let set = ["link", "set", INTERFACE];
            let end = ["address", hardware, "mtu", MTU, "txqueuelen", QUEUE, "up"];
            host.ip(&[&set[..], &end].concat());
        }
        let ways = [(); 2].map(|()| Arc::new(Way::new()));
        let (stopped, stop) = io::pipe().expect("a pipe");
        let carriers = [("relay a to b", [0, 1]), ("relay b to a", [1, 0])]
            .into_iter()
            .zip(&ways)
            .map(|((name, [from, to]), way)| {
                let (from, to) = (Arc::clone(&ends[from]), Arc::clone(&ends[to]));
                let (way, stopped) = (Arc::clone(way), stopped.try_clone().expect("a descriptor"));
                thread::Builder::new()
                    .name(name.to_owned())
                    .spawn(move || way.carry(&from, &to, &stopped))
                    .expect("a thread")
            })
            .collect();
        cable.wait_for_addresses();
        Self {
            cable,
            ways,
            carriers,
            stop: Some(stop),
        }
    }

    /// The first host.
    pub fn a(&self) -> &Host {
        self.cable.a()
    }

    /// The second host.
    pub fn b(&self) -> &Host {
        self.cable.b()
    }

    /// The direction from host a to host b.
    pub fn a_to_b(&self) -> &Way {
        &self.ways[0]
    }

    /// The direction from host b to host a.
    pub fn b_to_a(&self) -> &Way {
        &self.ways[1]
    }

    /// Changes the faults of both directions; the schedule of the second has a seed of its own,
    /// which the given one decides.
    pub fn set_faults(&self, faults: Faults) {
        self.a_to_b().set_faults(faults);
        self.b_to_a().set_faults(Faults {
            seed: !faults.seed,
            ..faults
        });
    }

    /// From now on nothing arrives any more, on either side, and nobody is told: to each host the
    /// other one has fallen silent.
    pub fn cut(&self) {
        self.ways.iter().for_each(|way| way.cut());
    }

    /// Undoes [`cut`](Self::cut).
    pub fn mend(&self) {
        self.ways.iter().for_each(|way| way.mend());
    }

    /// Tells each host the other's hardware address for good: neighbour discovery has nothing to
    /// ask, and so nothing to lose.
    pub fn introduce(&self) {
        let [a, b] = [self.a(), self.b()];
        for (host, other, hardware) in [(a, b, HARDWARE[1]), (b, a, HARDWARE[0])] {
            let (address, _) = other.address().split_once('%').expect("it has a scope");
            host.ip(&[
                "neigh",
                "replace",
                address,
                "lladdr",
                hardware,
                "dev",
                INTERFACE,
                "nud",
                "permanent",
            ]);
        }
    }
}

impl Default for LossyCable {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for LossyCable {
    fn drop(&mut self) {
        self.stop = None;
        for carrier in self.carriers.drain(..) {
            // A panic of a carrier was printed, and the test has failed for lack of packets.
            let _ = carrier.join();
        }
    }
}

/// Makes the interface of the host that this thread is on.
fn open() -> SyncDevice {
    DeviceBuilder::new()
        .name(INTERFACE)
        .layer(Layer::L2)
        .inherit_enable_state()
        .build_sync()
        .unwrap_or_else(|error| {
            panic!(
                "this test needs a TAP device, and the system refused it ({error}). It takes the \
                 kernel's module tun (modprobe tun), and a /dev/net/tun that this user may read and \
                 write (chmod 666 /dev/net/tun, as most systems have it); in a container, add \
                 --device /dev/net/tun"
            )
        })
}
