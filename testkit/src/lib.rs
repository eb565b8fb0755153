//! Two hosts on one machine, C programs, and facts about processes, for this project's tests.
//!
//! - [`Cable`]: two network namespaces joined by a virtual Thunderbolt cable that can be unplugged.
//! - [`LossyCable`]: the same with a link that drops, corrupts, duplicates, reorders and delays packets.
//! - [`CProgram`]: a C or C++ program compiled against the header and the shared library.
//! - [`Facts`]: descriptors, threads, memory and processor time of a process.
//! - [`Temporary`]: a file that is deleted when its value is dropped.
//! - [`wait_until`] and [`free_ports`]: waiting without fixed sleeps, and ports that do not collide.

mod cable;
mod host;
mod library;
mod lossy;
mod ports;
mod process;
mod processor;
mod program;
mod running;
mod temporary;
mod wait;

pub use cable::Cable;
pub use host::Host;
pub use library::{library_directory, package_root};
pub use lossy::{Direction, Faults, LossyCable, Record, Tally};
pub use ports::free_ports;
pub use process::{while_suspended, Facts, Thread};
pub use processor::move_to_next_processor;
pub use program::{CProgram, Dialect};
pub use running::Running;
pub use temporary::Temporary;
pub use wait::{wait_until, GENEROUS};
