//! Making changes known: of the link to calls, streams, the log and the link handler, and of peers to the peer handler.

use std::sync::Arc;

use crate::core::{Core, ThunderboltTransport};
use crate::handlers::{LinkEvent, PeerEvent};
use crate::link::{Current, LinkState};
use crate::log::log;
use crate::stream::CloseReason;
use crate::sys::poll::Deadline;

/// Makes a new state of the link known, in this order: to calls and to callers that wait for the link, to waiting
/// threads and streams that are being opened, in the log, to the link handler.
pub(crate) fn link(core: &Arc<Core>, new: Current) {
    let context = &*core.context;
    let (was, same_addresses) = context.link.tell(&new);
    let (name, state) = (new.name.clone(), new.state.clone());
    core.control.set_addresses(new.addresses.len());
    core.control.allow_segments();
    context.link.set(new);
    if !same_addresses {
        // The sockets for round trips are connected, so they keep their source address.
        core.round_trips.close_idle_sockets();
    }
    if was == state {
        return;
    }
    let up = state == LinkState::Up;
    if up {
        log!(context.log, Info, "link \"{name}\" is up");
    } else {
        core.round_trips.wake_all();
        core.streams.end_connecting();
        context.last_seen.link_is_down();
        let reason = state.reason(&name);
        log!(context.log, Warn, "link \"{name}\" is down: {reason}");
    }
    if up != (was == LinkState::Up) {
        tell_link(core, up, name);
    }
}

/// Ends everything that belonged to an interface that is gone. The state says so before any call does.
pub(crate) fn interface_gone(core: &Core, now: &Current) {
    core.context.link.set(now.clone());
    core.control.close();
    core.streams.end_all(CloseReason::LinkGone);
    core.inbox.drop_ended_streams();
}

/// Has the link handler called, if there is one. The state is set already.
fn tell_link(core: &Arc<Core>, up: bool, interface: String) {
    if !core.handlers.on_link.is_set() || !core.link_events.push(up, interface) {
        return;
    }
    // If no thread can be started, this thread calls the handler, also when the transport closes.
    if core.spawn("dcf-tb-link", call_link_handler).is_err() {
        call_link_handler(core);
    }
}

fn call_link_handler(core: &Arc<Core>) {
    while let Some((up, interface)) = core.link_events.next() {
        if let Some(call) = core.handlers.on_link.enter() {
            let transport = ThunderboltTransport::lend(core);
            let event = LinkEvent::new(up, &interface, &transport);
            core.call(&call, |handler| handler(&event));
        }
    }
}

/// Has the peer handler called for the peers that appeared or vanished. Returns when the next look is due.
pub(crate) fn peers(core: &Arc<Core>) -> Deadline {
    let (due, tell) = core.context.last_seen.expire();
    if tell && core.spawn("dcf-tb-peer", call_peer_handler).is_err() {
        call_peer_handler(core);
    }
    due
}

fn call_peer_handler(core: &Arc<Core>) {
    while let Some((peer, appeared)) = core.context.last_seen.next_change() {
        if let Some(call) = core.handlers.on_peer.enter() {
            let transport = ThunderboltTransport::lend(core);
            let event = PeerEvent::new(appeared, &peer, &transport);
            core.call(&call, |handler| handler(&event));
        }
    }
    // The peers that were reported just now can vanish from now on.
    core.context.event_loop_wake.signal();
}

#[cfg(all(loom, test))]
mod models;
