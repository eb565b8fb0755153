//! Status codes of the C ABI that faults may cause, and their names.

/// A status of the header, as a number.
pub type Status = u16;

pub const CANCELLED: Status = 0x0003;
pub const EOF: Status = 0x0004;
pub const CONNECTION_REFUSED: Status = 0x0302;
pub const CONNECTION_RESET: Status = 0x030D;
pub const HOST_UNREACHABLE: Status = 0x030E;
pub const LINK_DOWN: Status = 0x030F;
pub const CONNECTION_ABORTED: Status = 0x0310;
pub const INVALID_HANDLE: Status = 0x0805;
pub const BROKEN_PIPE: Status = 0x0908;
pub const TIMEOUT: Status = 0x0A00;
pub const TOO_MANY_FILES: Status = 0x0B01;
pub const QUEUE_FULL: Status = 0x0B02;

/// The peer's end of a stream is gone.
pub const BROKEN_STREAM: &[Status] = &[EOF, CONNECTION_RESET, BROKEN_PIPE];

/// The name in the header, for the statuses of this file.
pub fn name(status: Status) -> String {
    let name = match status {
        CANCELLED => "CANCELLED",
        EOF => "EOF",
        CONNECTION_REFUSED => "CONNECTION_REFUSED",
        CONNECTION_RESET => "CONNECTION_RESET",
        HOST_UNREACHABLE => "HOST_UNREACHABLE",
        LINK_DOWN => "LINK_DOWN",
        CONNECTION_ABORTED => "CONNECTION_ABORTED",
        INVALID_HANDLE => "INVALID_HANDLE",
        BROKEN_PIPE => "BROKEN_PIPE",
        TIMEOUT => "TIMEOUT",
        TOO_MANY_FILES => "TOO_MANY_FILES",
        QUEUE_FULL => "QUEUE_FULL",
        _ => return format!("status 0x{status:04X}"),
    };
    name.to_owned()
}
