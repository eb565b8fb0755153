//! The accepting thread: it waits for connections, for news of the interface and for the stop
//! signal at once, and opens the sockets anew when a cable is plugged in again.

use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;

use super::detect::{by_index, not_found, resolve, several, Resolved};
use super::{Absence, Current, Link, LinkState};
use crate::control::intake::{pump, StandIn};
use crate::core::Core;
use crate::error::{Result, TransportError};
use crate::handlers::{LinkEvent, PeerEvent};
use crate::log::log;
use crate::stream::listener::{self, Acceptor};
use crate::stream::registry::End;
use crate::stream::stall::Stalls;
use crate::sys::netlink::{Interface, LinkChanges, LinkWatch};
use crate::sys::poll::{wait, Deadline, Interest};
use crate::sys::socket::{self, SocketError};
use crate::throttle::Throttle;
use crate::transport::ThunderboltTransport;

/// How soon to try again when the sockets could not be bound to an interface that is there.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) struct Watcher {
    news: LinkWatch,
    /// What a look that failed did not get round to.
    unheeded: LinkChanges,
    /// A call found the link down, and that is to be told.
    doubted: bool,
    /// Of the interface that we are bound to.
    hardware: Vec<u8>,
    listener: Option<Socket>,
    /// Hold the ports that were chosen before there was an interface to bind them on.
    reserved: Vec<Socket>,
    acceptor: Acceptor,
    stand_in: StandIn,
    stalls: Stalls,
    /// Set only while something failed that will not announce its end.
    retry: Deadline,
    /// Each piece of news is a reason to try, and while it fails they are many.
    failed: Throttle,
}

impl Watcher {
    /// Finds the interface and binds to it. Without an interface that is an error, unless the
    /// transport is to wait for one.
    pub fn start(core: &Arc<Core>) -> Result<Self> {
        let config = &core.settings.config;
        let news = LinkWatch::new()
            .map_err(|source| TransportError::from_os("cannot watch for link changes", source))?;
        let mut watcher = Self {
            news,
            unheeded: LinkChanges::default(),
            doubted: false,
            hardware: Vec::new(),
            listener: None,
            reserved: Vec::new(),
            acceptor: Acceptor::new(),
            stand_in: StandIn::new(),
            stalls: Stalls::default(),
            retry: Deadline::Never,
            failed: Throttle::default(),
        };
        core.control.set_port(config.control_port);
        core.streams.set_port(config.data_port);
        let found = resolve(core.link.kernel(), &config.interface)?;
        match &found {
            Resolved::Interface(interface) => {
                watcher.bind(core, interface, Link::begin)?;
                core.control.set_addresses(interface.addresses.len());
                if let Err(error) = core.link.check() {
                    log!(core.log, Warn, "{error}");
                }
            }
            missing if !core.settings.wait_for_interface => {
                return Err(not_found(core.link.kernel(), &config.interface, missing));
            }
            missing => {
                watcher.reserved = reserve_ports(core)?;
                let interface = &config.interface;
                log!(
                    core.log,
                    Info,
                    "waiting for interface \"{interface}\" with control port {} and data port {}",
                    core.control.port(),
                    core.streams.port(),
                );
                announce(core, unbound(core, missing, Absence::NotThere));
            }
        }
        Ok(watcher)
    }

    /// Body of the accepting thread.
    pub fn run(mut self, core: &Arc<Core>) {
        // What changed between `start` and now.
        self.refresh(core, LinkChanges::default());
        while !core.is_closing() {
            let (mut changed, mut connection, mut message) = (false, false, false);
            {
                let look_at_streams = self.stalls.look(core);
                let look_at_peers = look_at_peers(core);
                let (stand_in, look_again) = self.stand_in.look(&core.intake, Instant::now());
                let control = core.control.socket().filter(|_| stand_in);
                let listener = self.listener.as_ref().filter(|_| self.acceptor.is_ready());
                let mut interests = vec![
                    Interest::readable(core.accept_wake.as_fd()),
                    Interest::readable(self.news.as_fd()),
                ];
                interests.extend(listener.map(|listener| Interest::readable(listener.as_fd())));
                let control_at = interests.len();
                interests.extend(
                    control
                        .as_ref()
                        .map(|control| Interest::readable(control.as_fd())),
                );
                let deadlines = [
                    self.retry,
                    self.acceptor.pause(),
                    look_again,
                    look_at_streams,
                    look_at_peers,
                ];
                let deadline = deadlines.into_iter().fold(Deadline::Never, Deadline::min);
                // It could fail for lack of memory only; then the loop tries again.
                if wait(&mut interests, deadline).unwrap_or(false) {
                    let ready = |at: usize| interests.get(at).is_some_and(Interest::is_ready);
                    changed = ready(1);
                    connection = ready(2) && control_at > 2;
                    message = ready(control_at);
                }
            }
            if message {
                pump(core);
            }
            core.accept_wake.clear();
            if core.is_closing() {
                break;
            }
            if changed || self.retry.passed() || core.link.is_doubted() {
                let mut news = std::mem::take(&mut self.unheeded);
                self.news.take(&mut news);
                self.refresh(core, news);
            }
            if let Some(listener) = self.listener.as_ref().filter(|_| connection) {
                self.acceptor.accept(core, listener);
            }
            self.acceptor.hand_over_queued(core);
        }
        if let Some(listener) = &self.listener {
            // A forked child may have it as well, and nobody would ever answer those who connect.
            let _ = listener.shutdown(Shutdown::Both);
        }
    }

    /// Looks at the interface and does what its state asks for.
    fn refresh(&mut self, core: &Arc<Core>, mut news: LinkChanges) {
        self.retry = Deadline::Never;
        let mut refreshed = self.try_refresh(core, &mut news);
        let no_files = matches!(refreshed, Err(TransportError::TooManyFiles { .. }));
        if no_files && self.acceptor.give_up_spare() {
            refreshed = self.try_refresh(core, &mut news);
            self.acceptor.take_spare();
        }
        if let Err(error) = refreshed {
            if core.link.with(|now| now.index.is_some()) {
                self.unheeded = news;
            }
            if let Some(suppressed) = self.failed.pass() {
                log!(
                    core.log,
                    Error,
                    "{error}; trying again in {} s{suppressed}",
                    RETRY.as_secs()
                );
            }
            self.retry = Deadline::At(Instant::now() + RETRY);
        }
    }

    fn try_refresh(&mut self, core: &Arc<Core>, news: &mut LinkChanges) -> Result<()> {
        let kernel = core.link.kernel();
        self.doubted |= core.link.take_doubt();
        let (bound, name) = core.link.with(|now| (now.index, now.name.clone()));
        if let Some(index) = bound {
            let interface = by_index(kernel, index, &name)?;
            match interface.filter(|interface| self.is_bound_to(interface, news)) {
                Some(interface) => {
                    self.hardware.clone_from(&interface.hardware);
                    let state = LinkState::of(&interface);
                    if std::mem::take(&mut self.doubted) && state == LinkState::Up {
                        announce(core, described(&interface, LinkState::Interrupted));
                    }
                    announce(core, described(&interface, state));
                    return Ok(());
                }
                None => {
                    // The news of that may have come after the others had been taken.
                    self.news.take(news);
                    let moved = news.moved.contains(&index);
                    self.unbind(core, if moved { Absence::Moved } else { Absence::Gone });
                }
            }
        }
        let found = resolve(kernel, &core.settings.config.interface)?;
        let Resolved::Interface(interface) = found else {
            let absence = match core.link.with(|now| now.state.clone()) {
                LinkState::Absent(absence) => absence,
                _ => Absence::NotThere,
            };
            announce(core, unbound(core, &found, absence));
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
        announce(core, now);
        bound
    }

    /// Whether the interface that has our index is the one whose index it was: it may have been
    /// deleted, and the index given to another, since the last look.
    fn is_bound_to(&self, interface: &Interface, news: &LinkChanges) -> bool {
        !news.deleted.contains(&interface.index)
            && (!news.incomplete || interface.hardware == self.hardware)
    }

    /// Opens the sockets on this incarnation of the interface. The control socket is used last: a
    /// peer whose message was answered may open a stream next. The link is up when it is used, so that
    /// a handler can answer the first message.
    fn bind(&mut self, core: &Core, interface: &Interface, set: fn(&Link, Current)) -> Result<()> {
        let name = &interface.name;
        let buffer_size = core.settings.config.buffer_size;
        let control = core.control.bind(name, buffer_size, core.spin.budget())?;
        self.listener = Some(listener::open(core, name)?);
        let now = described(interface, LinkState::of(interface));
        core.control.open(control, || set(&core.link, now));
        self.reserved.clear();
        self.hardware.clone_from(&interface.hardware);
        // The name may have gone over to another interface in between: then the news of that is
        // on its way, and the next look finds that this index is gone.
        Ok(())
    }

    /// The interface is gone: its sockets can never carry anything again.
    fn unbind(&mut self, core: &Arc<Core>, absence: Absence) {
        let now = unbound(core, &Resolved::Nothing, absence);
        lose(core, &now);
        self.listener = None;
        announce(core, now);
    }
}

/// Ends everything that belonged to an interface that is gone. The state says so before any call does.
fn lose(core: &Core, now: &Current) {
    core.link.set(now.clone());
    core.control.close(&core.counters);
    core.streams.end_all(End::LinkGone);
    core.inbox.drop_ended_streams();
}

/// The state while there is no interface that could be bound to.
fn unbound(core: &Core, found: &Resolved, absence: Absence) -> Current {
    Current {
        name: core.settings.config.interface.clone(),
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

/// Makes a new state known, in this order: to calls and to those that wait for the link, to waiting
/// threads and streams that are being opened, in the log, to the link handler.
fn announce(core: &Arc<Core>, new: Current) {
    let (was, same_addresses) = core.link.tell(&new);
    let (name, state) = (new.name.clone(), new.state.clone());
    core.control.set_addresses(new.addresses.len());
    core.control.allow_segments();
    core.link.set(new);
    if !same_addresses {
        // Sockets for round trips are connected, so they hold on to a source address.
        core.rtt.forget_ports();
    }
    if was == state {
        return;
    }
    let up = state == LinkState::Up;
    if up {
        log!(core.log, Info, "link \"{name}\" is up");
    } else {
        core.rtt.wake_all();
        core.streams.end_connecting();
        core.last_seen.link_is_down();
        let reason = state.reason(&name);
        log!(core.log, Warn, "link \"{name}\" is down: {reason}");
    }
    if up != (was == LinkState::Up) {
        tell(core, up, name);
    }
}

/// Tells the link handler, if there is one, that the link is up or down. The state says so already.
fn tell(core: &Arc<Core>, up: bool, interface: String) {
    if !core.on_link.is_set() || !core.link_events.push(up, interface) {
        return;
    }
    // Where no thread can be started this one does it, as the transport closes too.
    if core.spawn("dcf-tb-link", tell_all).is_err() {
        tell_all(core);
    }
}

fn tell_all(core: &Arc<Core>) {
    while let Some((up, interface)) = core.link_events.next() {
        if let Some(running) = core.on_link.enter() {
            let transport = ThunderboltTransport::lend(core);
            let event = LinkEvent::new(up, &interface, &transport);
            core.call(&running, |handler| handler(&event));
        }
    }
}

/// Has the peer handler told who appeared and who vanished. Gives when to look again.
fn look_at_peers(core: &Arc<Core>) -> Deadline {
    let (look_again, tell) = core.last_seen.look();
    if tell && core.spawn("dcf-tb-peer", tell_peers).is_err() {
        tell_peers(core);
    }
    look_again
}

fn tell_peers(core: &Arc<Core>) {
    while let Some((peer, appeared)) = core.last_seen.next() {
        if let Some(running) = core.on_peer.enter() {
            let transport = ThunderboltTransport::lend(core);
            let event = PeerEvent::new(appeared, &peer, &transport);
            core.call(&running, |handler| handler(&event));
        }
    }
    // Those that were told just now can vanish from now on.
    core.accept_wake.signal();
}

/// Chooses "any free" ports while there is no interface to bind them on, so that they can be told. As
/// long as the sockets are open, no socket that is bound to no interface gets one of these ports.
fn reserve_ports(core: &Core) -> Result<Vec<Socket>> {
    let free = |make: fn(&str) -> std::result::Result<Socket, SocketError>| {
        make("lo")
            .map_err(std::io::Error::from)
            .and_then(|socket| {
                socket::bind_port(&socket, 0)?;
                Ok((socket::local_port(&socket)?, socket))
            })
            .map_err(|error| crate::control::bind::cannot_bind_port("any free", "lo", 0, error))
    };
    let mut reserved = Vec::new();
    if core.control.port() == 0 {
        let (port, socket) = free(socket::udp)?;
        core.control.set_port(port);
        reserved.push(socket);
    }
    if core.streams.port() == 0 {
        let (port, socket) = free(socket::tcp)?;
        core.streams.set_port(port);
        reserved.push(socket);
    }
    Ok(reserved)
}

#[cfg(all(loom, test))]
mod models;
