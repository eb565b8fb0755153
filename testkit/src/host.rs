//! A host: a network namespace that lives as long as its value.

use std::fs::File;
use std::panic;
use std::process::{self, Command};
use std::thread;

use nix::sched::{setns, unshare, CloneFlags};

use crate::cable::address_is_usable;
use crate::wait::{wait_until, GENEROUS};

/// An anonymous network namespace. It needs no cleaning up, and any number of them can exist at once.
#[derive(Debug)]
pub struct Host {
    name: &'static str,
    address: &'static str,
    namespace: File,
}

impl Host {
    /// A host with nothing but its loopback interface.
    ///
    /// # Panics
    ///
    /// When this process may not make network namespaces; the message says what to do.
    pub fn alone() -> Self {
        Self::new("host", "::1%lo")
    }

    pub(crate) fn new(name: &'static str, address: &'static str) -> Self {
        // The thread holds the namespace until it ends, and the open file from then on.
        let namespace = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)
                .map(|()| File::open("/proc/thread-self/ns/net").expect("a namespace of its own"))
        })
        .join()
        .expect("unshare does not panic")
        .unwrap_or_else(|errno| {
            panic!(
                "this test needs a network namespace of its own, and the system refused it \
                 ({errno}). Run `make test`, or run the tests as root, or like this: \
                 unshare --user --map-root-user --net cargo test"
            )
        });
        let host = Self {
            name,
            address,
            namespace,
        };
        host.ip(&["link", "set", "lo", "up"]);
        host
    }

    /// Its address, as a peer string on the other host.
    pub fn address(&self) -> &'static str {
        self.address
    }

    /// Runs `work` on a new thread inside this host, and returns its result. A panic continues in the
    /// caller.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                enter(&self.namespace);
                work()
            });
            worker
                .join()
                .unwrap_or_else(|panic| panic::resume_unwind(panic))
        })
    }

    /// Starts a thread inside this host. Its sockets and threads belong to this host too.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let namespace = self.namespace.try_clone().expect("a descriptor");
        thread::spawn(move || {
            enter(&namespace);
            work()
        })
    }

    /// A command whose process starts inside this host.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path()))
            .arg("--")
            .arg(program);
        command
    }

    /// Runs `ip` inside this host, and returns its output.
    ///
    /// # Panics
    ///
    /// When it fails; the message has the command and its error output.
    pub fn ip(&self, arguments: &[&str]) -> String {
        self.iproute2("ip", arguments)
    }

    /// Runs `tc` inside this host, as [`ip`](Self::ip) does.
    pub fn traffic_control(&self, arguments: &[&str]) -> String {
        self.iproute2("tc", arguments)
    }

    fn iproute2(&self, program: &str, arguments: &[&str]) -> String {
        let output = self
            .run(|| Command::new(program).args(arguments).output())
            .unwrap_or_else(|error| panic!("cannot run `{program}` ({error}): install iproute2"));
        assert!(
            output.status.success(),
            "{program} {} on {}: {}",
            arguments.join(" "),
            self.name,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until the link-local address of its `thunderbolt0` is usable.
    pub fn wait_for_address(&self) {
        wait_until("the link-local address becomes usable", GENEROUS, || {
            self.run(address_is_usable)
        });
    }

    /// A path by which other programs can name this namespace while this value lives.
    pub fn path(&self) -> String {
        use std::os::fd::AsRawFd;
        format!("/proc/{}/fd/{}", process::id(), self.namespace.as_raw_fd())
    }
}

/// Moves the calling thread into a namespace.
fn enter(namespace: &File) {
    setns(namespace, CloneFlags::CLONE_NEWNET).expect("our own namespace lets us in");
}

#[cfg(test)]
mod tests {
    use super::Host;
    use std::net::UdpSocket;

    #[test]
    fn two_hosts_may_hold_the_same_port() {
        let (one, two) = (Host::alone(), Host::alone());
        let first = one.run(|| UdpSocket::bind("[::1]:5000").expect("free on a fresh host"));
        let second = two.run(|| UdpSocket::bind("[::1]:5000").expect("free on a fresh host"));
        drop((first, second));
    }

    #[test]
    fn a_command_runs_inside() {
        let host = Host::alone();
        host.ip(&[
            "link",
            "add",
            "elsewhere",
            "type",
            "veth",
            "peer",
            "name",
            "other",
        ]);
        let shown = host.command("ip").args(["link"]).output().expect("ip runs");
        assert!(String::from_utf8_lossy(&shown.stdout).contains("elsewhere"));
    }

    #[test]
    #[should_panic(expected = "inside")]
    fn a_panic_inside_continues_in_the_caller() {
        Host::alone().run(|| panic!("inside"));
    }
}
