//! Two hosts on one machine, C programs, and facts about processes, for this project's tests.
//!
//! - [`Cable`]: two network namespaces joined by a virtual Thunderbolt cable that can be unplugged.
//! - [`CProgram`]: a C or C++ program compiled against the header and the shared library.
//! - [`Facts`]: descriptors, threads, memory and processor time of a process.
//! - [`wait_until`] and [`free_ports`]: so that no test sleeps for a fixed time or fights over a port.

mod cable;
mod host;
mod library;
mod ports;
mod process;
mod program;
mod running;
mod wait;

pub use cable::Cable;
pub use host::Host;
pub use library::{library_directory, package_root};
pub use ports::free_ports;
pub use process::{while_suspended, Facts, Thread};
pub use program::{CProgram, Dialect};
pub use running::Running;
pub use wait::{wait_until, GENEROUS};
