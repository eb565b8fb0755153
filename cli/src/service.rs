//! Sends status messages to a service manager (sd_notify(3)). They are sent only if NOTIFY_SOCKET is set.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;

use crate::output;

const VARIABLE: &str = "NOTIFY_SOCKET";

struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Manager {
    fn from_environment() -> Option<Self> {
        let name = env::var_os(VARIABLE).filter(|name| !name.is_empty())?;
        match Self::at(&name) {
            Ok(manager) => Some(manager),
            Err(error) => {
                let name = output::harmless(name.as_bytes());
                output::note(&format!(
                    "cannot notify the service manager at \"{name}\" ({VARIABLE}): {error}"
                ));
                None
            }
        }
    }

    fn at(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => {
                let kind = io::ErrorKind::Unsupported;
                return Err(io::Error::new(kind, "the address must begin with / or @"));
            }
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not block the service.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address })
    }
}

fn notify(state: &str) {
    static MANAGER: OnceLock<Option<Manager>> = OnceLock::new();
    let Some(manager) = MANAGER.get_or_init(Manager::from_environment) else {
        return;
    };
    let sent = manager
        .socket
        .send_to_addr(state.as_bytes(), &manager.address);
    if let Err(error) = sent {
        output::detail(&format!("cannot notify the service manager: {error}"));
    }
}

/// A status must be one line; a name in it may contain control characters.
fn line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// The service is ready, and does what `status` says.
pub fn ready(status: &str) {
    notify(&format!("READY=1\nSTATUS={}", line(status)));
}

/// The service does this now.
pub fn status(status: &str) {
    notify(&format!("STATUS={}", line(status)));
}

/// The service is stopping.
pub fn stopping() {
    notify("STOPPING=1\nSTATUS=ending");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_of_this_host_are_used() {
        for name in ["@name", "/run/notify"] {
            assert!(Manager::at(OsStr::new(name)).is_ok(), "{name}");
        }
        let long = format!("@{}", "x".repeat(200));
        for name in ["vsock:2:1", "relative", "", &long] {
            assert!(Manager::at(OsStr::new(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(line("a\nREADY=1\u{1b}b"), "a READY=1 b");
    }
}
