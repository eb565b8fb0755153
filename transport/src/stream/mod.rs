//! TCP connections whose calls wait with a deadline and can be cancelled.

mod call_limit;
mod close_reason;
mod closing;
mod connecting;
mod connection;
mod counts;
mod files;
mod first_error;
mod io;
mod listener;
mod opening;
mod options;
mod pending_data;
mod registry;
mod silent;
#[cfg(feature = "async")]
mod task_calls;
mod unread;
mod wakers;
mod zero_window;

pub(crate) use call_limit::Work;
pub(crate) use close_reason::CloseReason;
pub(crate) use connection::{Stream, Streams};
pub use counts::StreamStats;
pub(crate) use files::Transfer;
pub(crate) use listener::listen;
#[cfg(feature = "async")]
pub(crate) use wakers::Direction;
pub(crate) use zero_window::ZeroWindowMonitor;
