//! Binding the sockets to the interface, and binding them anew when a cable is plugged in again.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::acceptor::Acceptor;
use crate::announce;
use crate::bind::cannot_bind_port;
use crate::context::Context;
use crate::core::Core;
use crate::error::{Result, TransportError};
use crate::link::detect::{by_index, not_found, resolve, several, Resolved};
use crate::link::{Absence, Current, Link, LinkState};
use crate::log::log;
use crate::stream::listen;
use crate::sys::netlink::{Interface, LinkChanges, LinkWatch};
use crate::sys::poll::Deadline;
use crate::sys::socket::{self, SocketError};
use crate::throttle::Throttle;

/// The time until the next attempt when the sockets could not be bound to an interface that is there.
const RETRY: Duration = Duration::from_secs(1);

/// The interface that the sockets are bound to, and the listener.
pub(crate) struct Binding {
    link_watch: LinkWatch,
    /// The changes that are not processed yet, because the last refresh failed.
    pending: LinkChanges,
    /// A call found the link down, and that is to be announced.
    doubted: bool,
    /// The hardware address of the interface.
    hardware: Vec<u8>,
    listener: Option<Socket>,
    /// Hold the ports that were chosen before there was an interface to bind them on.
    reserved: Vec<Socket>,
    /// Armed after failures that produce no further event.
    retry: Deadline,
    /// Each change is a reason to try again, and while that fails there are many.
    failed: Throttle,
}

impl Binding {
    /// Finds the interface and binds to it. Without an interface that is an error, unless the
    /// transport is to wait for one.
    pub fn start(core: &Arc<Core>) -> Result<Self> {
        let context = &*core.context;
        let config = &context.settings.config;
        let link_watch = LinkWatch::new()
            .map_err(|source| TransportError::from_os("cannot watch for link changes", source))?;
        let mut binding = Self {
            link_watch,
            pending: LinkChanges::default(),
            doubted: false,
            hardware: Vec::new(),
            listener: None,
            reserved: Vec::new(),
            retry: Deadline::Never,
            failed: Throttle::default(),
        };
        context.set_control_port(config.control_port);
        context.set_data_port(config.data_port);
        let found = resolve(context.link.kernel(), &config.interface)?;
        match &found {
            Resolved::Interface(interface) => {
                binding.bind(core, interface, Link::begin)?;
                core.control.set_addresses(interface.addresses.len());
                if let Err(error) = context.link.check() {
                    log!(context.log, Warn, "{error}");
                }
            }
            missing if !context.settings.wait_for_interface => {
                return Err(not_found(context.link.kernel(), &config.interface, missing));
            }
            missing => {
                binding.reserved = reserve_ports(context)?;
                let interface = &config.interface;
                log!(
                    context.log,
                    Info,
                    "waiting for interface \"{interface}\" with control port {} and data port {}",
                    context.control_port(),
                    context.data_port(),
                );
                announce::link(core, unbound(context, missing, Absence::NotThere));
            }
        }
        Ok(binding)
    }

    /// The descriptor that is readable after a change of any interface.
    pub fn link_watch(&self) -> BorrowedFd<'_> {
        self.link_watch.as_fd()
    }

    pub fn listener(&self) -> Option<&Socket> {
        self.listener.as_ref()
    }

    /// When to try again.
    pub fn retry(&self) -> Deadline {
        self.retry
    }

    pub fn is_retry_due(&self) -> bool {
        self.retry.passed()
    }

    /// Looks at the interface, whatever changed. `acceptor` may give up its spare descriptor for that.
    pub fn refresh_all(&mut self, core: &Arc<Core>, acceptor: &mut Acceptor) {
        self.refresh(core, acceptor, LinkChanges::default());
    }

    /// Looks at the interface after a change.
    pub fn refresh_pending(&mut self, core: &Arc<Core>, acceptor: &mut Acceptor) {
        let mut changes = std::mem::take(&mut self.pending);
        self.link_watch.take(&mut changes);
        self.refresh(core, acceptor, changes);
    }

    /// Looks at the interface, and binds, unbinds or announces as its state requires.
    fn refresh(&mut self, core: &Arc<Core>, acceptor: &mut Acceptor, mut changes: LinkChanges) {
        let context = &*core.context;
        self.retry = Deadline::Never;
        let mut refreshed = self.try_refresh(core, &mut changes);
        let no_files = matches!(refreshed, Err(TransportError::TooManyFiles { .. }));
        if no_files && acceptor.give_up_spare() {
            refreshed = self.try_refresh(core, &mut changes);
            acceptor.take_spare();
        }
        if let Err(error) = refreshed {
            if context.link.with(|now| now.index.is_some()) {
                self.pending = changes;
            }
            if let Some(suppressed) = self.failed.pass() {
                log!(
                    context.log,
                    Error,
                    "{error}; trying again in {} s{suppressed}",
                    RETRY.as_secs()
                );
            }
            self.retry = Deadline::At(Instant::now() + RETRY);
        }
    }

    fn try_refresh(&mut self, core: &Arc<Core>, changes: &mut LinkChanges) -> Result<()> {
        let context = &*core.context;
        let kernel = context.link.kernel();
        self.doubted |= context.link.take_doubt();
        let (bound, name) = context.link.with(|now| (now.index, now.name.clone()));
        if let Some(index) = bound {
            let interface = by_index(kernel, index, &name)?;
            match interface.filter(|interface| self.is_bound_to(interface, changes)) {
                Some(interface) => {
                    self.hardware.clone_from(&interface.hardware);
                    let state = LinkState::of(&interface);
                    if std::mem::take(&mut self.doubted) && state == LinkState::Up {
                        announce::link(core, described(&interface, LinkState::Interrupted));
                    }
                    announce::link(core, described(&interface, state));
                    return Ok(());
                }
                None => {
                    // The message that says why may have come after the others were taken.
                    self.link_watch.take(changes);
                    let moved = changes.moved.contains(&index);
                    self.unbind(core, if moved { Absence::Moved } else { Absence::Gone });
                }
            }
        }
        let found = resolve(kernel, &context.settings.config.interface)?;
        let Resolved::Interface(interface) = found else {
            let absence = match context.link.with(|now| now.state.clone()) {
                LinkState::Absent(absence) => absence,
                _ => Absence::NotThere,
            };
            announce::link(core, unbound(context, &found, absence));
            return Ok(());
        };
        self.doubted = false;
        let bound = self.bind(core, &interface, Link::set);
        let state = match &bound {
            Ok(()) => LinkState::of(&interface),
            Err(TransportError::LinkDown { reason, .. }) => LinkState::Unbound(reason.clone()),
            Err(error) => LinkState::Unbound(error.to_string()),
        };
        let mut now = described(&interface, state);
        match bound {
            Ok(()) => core.log_bound(&interface.name, interface.index),
            Err(_) => now.index = None,
        }
        announce::link(core, now);
        bound
    }

    /// Whether the interface that has our index is still the one that we are bound to. It may have been deleted since
    /// the last look, and its index given to another one.
    fn is_bound_to(&self, interface: &Interface, changes: &LinkChanges) -> bool {
        !changes.deleted.contains(&interface.index)
            && (!changes.incomplete || interface.hardware == self.hardware)
    }

    /// Opens the sockets on this incarnation of the interface. The control socket is used last, because a peer whose
    /// message was answered may open a stream next. The link is up when the socket is used, so that a handler can
    /// answer the first message.
    fn bind(&mut self, core: &Core, interface: &Interface, set: fn(&Link, Current)) -> Result<()> {
        let context = &*core.context;
        let name = &interface.name;
        let control = core.control.bind(name)?;
        self.listener = Some(listen(context, &core.streams, name)?);
        let now = described(interface, LinkState::of(interface));
        core.control.open(control, || set(&context.link, now));
        self.reserved.clear();
        self.hardware.clone_from(&interface.hardware);
        // The name may have passed to another interface in between. Then a message about that is on its way, and the
        // next look finds that this index is gone.
        Ok(())
    }

    /// The interface is gone, and its sockets never carry anything again.
    fn unbind(&mut self, core: &Arc<Core>, absence: Absence) {
        let now = unbound(&core.context, &Resolved::Nothing, absence);
        announce::interface_gone(core, &now);
        self.listener = None;
        announce::link(core, now);
    }
}

/// The state while there is no interface that could be bound to.
pub(crate) fn unbound(context: &Context, found: &Resolved, absence: Absence) -> Current {
    Current {
        name: context.settings.config.interface.clone(),
        index: None,
        state: match found {
            Resolved::Several(names) => LinkState::Unbound(several(names)),
            _ => LinkState::Absent(absence),
        },
        multicast: false,
        addresses: Vec::new(),
    }
}

fn described(interface: &Interface, state: LinkState) -> Current {
    Current {
        name: interface.name.clone(),
        index: Some(interface.index),
        state,
        multicast: interface.multicast,
        addresses: interface.addresses.clone(),
    }
}

/// Chooses "any free" ports while there is no interface to bind them on, so that they are known. While the sockets are
/// open, no socket that is not bound to an interface gets one of these ports.
fn reserve_ports(context: &Context) -> Result<Vec<Socket>> {
    let free = |make: fn(&str) -> std::result::Result<Socket, SocketError>| {
        make("lo")
            .map_err(std::io::Error::from)
            .and_then(|socket| {
                socket::bind_port(&socket, 0)?;
                Ok((socket::local_port(&socket)?, socket))
            })
            .map_err(|error| cannot_bind_port("any free", "lo", 0, error))
    };
    let mut reserved = Vec::new();
    if context.control_port() == 0 {
        let (port, socket) = free(socket::udp)?;
        context.set_control_port(port);
        reserved.push(socket);
    }
    if context.data_port() == 0 {
        let (port, socket) = free(socket::tcp)?;
        context.set_data_port(port);
        reserved.push(socket);
    }
    Ok(reserved)
}
