//! A cable whose link has faults.
//!
//! Both ends are TAP devices. One thread for each direction forwards their packets by a schedule. With
//! a TAP device without offloads, the kernel fills in every checksum when a packet leaves, cuts
//! segments to the MTU, and verifies the checksum of every packet that arrives.

mod delay_queue;
mod direction;
mod faults;
mod packet;
#[cfg(test)]
mod tests;

use std::io::{self, PipeWriter};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use crate::cable::{Cable, HARDWARE, INTERFACE, MTU};
use crate::host::Host;

pub use direction::{Direction, Record, Tally};
pub use faults::Faults;

/// Packets that wait in a device for the forwarding thread. The device drops further ones without a
/// record.
const QUEUE: &str = "10000";

/// Two hosts joined by a cable like [`Cable`]'s, whose faults can be set at any time. It begins without
/// faults. Dropping the value removes hosts and cable.
#[derive(Debug)]
pub struct LossyCable {
    /// The hosts. Their own cable stays unplugged.
    cable: Cable,
    directions: [Arc<Direction>; 2],
    forwarders: Vec<JoinHandle<()>>,
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
        let directions = [(); 2].map(|()| Arc::new(Direction::new()));
        let (stopped, stop) = io::pipe().expect("a pipe");
        let forwarders = [("relay a to b", [0, 1]), ("relay b to a", [1, 0])]
            .into_iter()
            .zip(&directions)
            .map(|((name, [from, to]), direction)| {
                let (from, to) = (Arc::clone(&ends[from]), Arc::clone(&ends[to]));
                let (direction, stopped) = (
                    Arc::clone(direction),
                    stopped.try_clone().expect("a descriptor"),
                );
                thread::Builder::new()
                    .name(name.to_owned())
                    .spawn(move || direction.forward(&from, &to, &stopped))
                    .expect("a thread")
            })
            .collect();
        cable.wait_for_addresses();
        Self {
            cable,
            directions,
            forwarders,
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
    pub fn a_to_b(&self) -> &Direction {
        &self.directions[0]
    }

    /// The direction from host b to host a.
    pub fn b_to_a(&self) -> &Direction {
        &self.directions[1]
    }

    /// Changes the faults of both directions. The second direction has a seed of its own, derived from
    /// the given one.
    pub fn set_faults(&self, faults: Faults) {
        self.a_to_b().set_faults(faults);
        self.b_to_a().set_faults(Faults {
            seed: !faults.seed,
            ..faults
        });
    }

    /// From now on no packet arrives on either side, and both keep their carrier: each host sees the
    /// other as silent.
    pub fn cut(&self) {
        self.directions.iter().for_each(|direction| direction.cut());
    }

    /// Undoes [`cut`](Self::cut).
    pub fn mend(&self) {
        self.directions
            .iter()
            .for_each(|direction| direction.mend());
    }

    /// Gives each host a permanent neighbour entry for the other, so that no neighbour discovery
    /// packets are sent that could be lost.
    pub fn set_neighbours(&self) {
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
        for forwarder in self.forwarders.drain(..) {
            // A panic of a forwarding thread was printed, and the test fails for lack of packets.
            let _ = forwarder.join();
        }
    }
}

/// Creates the TAP device on the host that this thread is on.
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
