//! Checks whether the ports are free, and which process holds them.

use super::driver;
use super::finding::Finding;
use super::sysroot::SysRoot;

/// The state of a listening TCP socket (include/net/tcp_states.h).
const LISTENING: &str = "0A";

/// The port of the AirPlay receiver of macOS 12 and later.
const AIRPLAY: u16 = 5000;

pub fn all(sys: &SysRoot, control: u16, data: u16) -> Vec<Finding> {
    vec![
        port(sys, "udp port", &UDP, control, "--control-port"),
        port(sys, "tcp port", &TCP, data, "--data-port"),
        binding(sys),
    ]
}

/// The kernel's tables of sockets, and the state of a bound one.
pub struct Tables {
    names: [&'static str; 2],
    state: Option<&'static str>,
}

pub const UDP: Tables = Tables {
    names: ["udp6", "udp"],
    state: None,
};
pub const TCP: Tables = Tables {
    names: ["tcp6", "tcp"],
    state: Some(LISTENING),
};

/// Finds the holder of a port. `Ok(None)`: it is free. An error: not all tables can be read.
fn holder(sys: &SysRoot, tables: &Tables, port: u16) -> Result<Option<Holder>, ()> {
    let mut readable = 0;
    for table in tables.names {
        let Some(text) = sys.read(&format!("proc/net/{table}")) else {
            continue;
        };
        readable += 1;
        let inode = text
            .lines()
            .find_map(|line| bound(line, port, tables.state));
        if let Some(inode) = inode {
            return Ok(Some(match owner(sys, inode) {
                Some(owner) => Holder::Process(owner),
                None => Holder::Hidden,
            }));
        }
    }
    match readable == tables.names.len() {
        true => Ok(None),
        false => Err(()),
    }
}

/// The process that holds a port of this machine, if this user may see it.
pub fn process(tables: &Tables, port: u16) -> Option<String> {
    match holder(&SysRoot::live(), tables, port) {
        Ok(Some(Holder::Process(owner))) => Some(owner.shown),
        _ => None,
    }
}

fn port(sys: &SysRoot, check: &'static str, tables: &Tables, port: u16, option: &str) -> Finding {
    let who = match holder(sys, tables, port) {
        Err(()) => {
            return Finding::unknown(check, "cannot read all of the kernel's socket tables");
        }
        Ok(None) => return Finding::good(check, format!("{port} is free for IPv6 and IPv4")),
        Ok(Some(Holder::Process(owner))) if owner.is_ours => {
            return Finding::good(
                check,
                format!("{port} is held by {}, which is also dcf-tb", owner.shown),
            );
        }
        Ok(Some(Holder::Process(owner))) => owner.shown,
        Ok(Some(Holder::Hidden)) => "another program (run as root to see which)".to_owned(),
    };
    let airplay = match port {
        AIRPLAY => {
            "; on a Mac, AirPlay uses it: turn that off in System Settings (AirDrop & Handoff)"
        }
        _ => "",
    };
    Finding::warning(check, format!("{port} is held by {who}")).advise(format!(
        "unless it is your own program with this transport, stop it, or choose another port with {option} on both hosts{airplay}"
    ))
}

enum Holder {
    Process(Owner),
    /// This user may not see which process.
    Hidden,
}

/// The inode of the socket in a line of the kernel's table, if it is bound to the port.
fn bound<'a>(line: &'a str, port: u16, state: Option<&str>) -> Option<&'a str> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, bound) = fields.get(1)?.rsplit_once(':')?;
    let is_there = u16::from_str_radix(bound, 16).ok()? == port;
    let is_in_state = state.is_none_or(|state| fields.get(3) == Some(&state));
    (is_there && is_in_state).then_some(*fields.get(9)?)
}

struct Owner {
    shown: String,
    /// It runs the same executable as this program. Its name would be no proof.
    is_ours: bool,
}

/// The process that holds a socket, if this user may see it.
fn owner(sys: &SysRoot, inode: &str) -> Option<Owner> {
    let socket = format!("socket:[{inode}]");
    let processes = sys.list("proc");
    let processes = processes
        .iter()
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    for process in processes {
        let folder = format!("proc/{process}/fd");
        let holds = |fd: &String| sys.link(&format!("{folder}/{fd}")).as_deref() == Some(&socket);
        if sys.list(&folder).iter().any(holds) {
            let name = sys.read(&format!("proc/{process}/comm"))?;
            let exe = |process: &str| format!("proc/{process}/exe");
            return Some(Owner {
                shown: format!("{name} (process {process})"),
                is_ours: sys.is_same_file(&exe(process), &exe("self")),
            });
        }
    }
    None
}

/// CAP_NET_RAW, as a bit of `CapEff` (capabilities(7)).
const NET_RAW: u64 = 1 << 13;

/// Since Linux 5.7, every user may bind to an interface.
fn binding(sys: &SysRoot) -> Finding {
    const CHECK: &str = "bind";
    if driver::running(sys).is_some_and(|version| version >= (5, 7, 0)) {
        return Finding::good(
            CHECK,
            "every user may bind to the interface (Linux 5.7 and later)",
        );
    }
    let status = sys.read("proc/self/status").unwrap_or_default();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capabilities = capabilities.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    match capabilities {
        Some(all) if all & NET_RAW != 0 => {
            Finding::good(CHECK, "this user may bind to the interface (CAP_NET_RAW)")
        }
        Some(_) => Finding::problem(
            CHECK,
            "binding to an interface needs CAP_NET_RAW before Linux 5.7",
        )
        .advise(
            "run the program as root, or give it the capability: setcap cap_net_raw+ep PROGRAM",
        ),
        None => Finding::unknown(CHECK, "cannot read the capabilities of this process"),
    }
}
