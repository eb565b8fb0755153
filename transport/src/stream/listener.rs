//! The listener of data streams.

use socket2::Socket;

use super::connection::Streams;
use super::options::set_user_timeout;
use crate::bind::{cannot_bind_device, cannot_bind_port};
use crate::context::Context;
use crate::error::{Result, TransportError};
use crate::sys::socket;

/// The connections that may wait to be accepted. A short queue loses SYNs, and each costs its peer a
/// second; the kernel caps it at net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// A listener on the data port of `interface`.
pub(crate) fn listen(context: &Context, streams: &Streams, interface: &str) -> Result<Socket> {
    let socket = socket::tcp(interface).map_err(|error| cannot_bind_device(interface, error))?;
    // Connections of an earlier run in TIME_WAIT do not keep the port; another listener does.
    socket
        .set_reuse_address(true)
        .map_err(|source| TransportError::socket_option("SO_REUSEADDR", 1, &source))?;
    let port = context.data_port();
    socket::bind_port(&socket, port)
        .and_then(|()| socket::local_port(&socket))
        .map(|port| context.set_data_port(port))
        .and_then(|()| socket.listen(BACKLOG))
        .map_err(|error| cannot_bind_port("TCP data", interface, port, error))?;
    let options = &streams.options;
    options.choose(context, &socket, interface);
    // Accepted connections inherit these.
    options.configure(&socket, context)?;
    set_user_timeout(&socket, context.live.stream_dead_after.get())?;
    Ok(socket)
}
