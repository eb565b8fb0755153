//! Information about network interfaces from rtnetlink(7), and notifications of changes.

mod ask;
mod interface;
mod link_changes;
mod messages;

pub(crate) use ask::{Kernel, Named, Which};
#[cfg(fuzzing)]
pub(crate) use interface::{add_addresses, link};
pub(crate) use interface::{Interface, Ipv6, Operational, Port, Unusable};
pub(crate) use link_changes::{LinkChanges, LinkWatch};
