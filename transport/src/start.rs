//! Building a transport, and starting it.

use std::sync::Arc;

use crate::config::ThunderboltTransportBuilder;
use crate::context::Context;
use crate::control::{Control, ControlReader};
use crate::core::{Core, Handlers, ThunderboltTransport};
use crate::error::{Result, TransportError};
use crate::event_loop::EventLoop;
use crate::handler_cell::HandlerCell;
use crate::inbox::Inbox;
use crate::link::events::LinkEvents;
use crate::receiver;
use crate::rtt::{PingSocketPool, RoundTrips};
use crate::stats::Baseline;
use crate::stream::Streams;
use crate::sync::{lock, Mutex};
use crate::sys::reserve_alloc;
use crate::workers::Workers;

/// Starts a transport.
pub(crate) fn start(builder: ThunderboltTransportBuilder) -> Result<Arc<ThunderboltTransport>> {
    reserve_alloc::check("cannot start a transport")?;
    let core = build(builder)?;
    // Handlers may run before this returns, so the weak references lead to it before it starts.
    let transport = ThunderboltTransport::first(core);
    run(transport.core())?;
    Ok(transport)
}

/// A transport without sockets and threads.
pub(crate) fn build(builder: ThunderboltTransportBuilder) -> Result<Arc<Core>> {
    let ThunderboltTransportBuilder {
        settings,
        on_message,
        on_stream,
        on_log,
        on_link,
        on_peer,
        on_closed,
        weak,
    } = builder;
    let no_event = |source| TransportError::from_os("cannot make an eventfd", source);
    let inbox = Inbox::new(settings.receive_queue, settings.receive_queue_bytes);
    let streams = Arc::new(Streams::new(&settings).map_err(no_event)?);
    let context = Context::new(settings, on_log, on_peer.is_some()).map_err(no_event)?;
    let context = Arc::new(context);
    let control = Arc::new(Control::new(&context).map_err(no_event)?);
    let ping_sockets = Arc::new(PingSocketPool::default());
    let reader = Arc::new(ControlReader::new(&control, &ping_sockets));
    Ok(Arc::new(Core {
        handlers: Handlers {
            on_message: HandlerCell::new(on_message),
            on_stream: HandlerCell::new(on_stream),
            on_link: HandlerCell::new(on_link),
            on_peer: HandlerCell::new(on_peer),
            on_closed: Mutex::new(on_closed),
        },
        round_trips: RoundTrips::new(&reader),
        inbox,
        link_events: LinkEvents::default(),
        baseline: Baseline::new(),
        workers: Workers::default(),
        weak: weak.0,
        context,
        control,
        reader,
        streams,
    }))
}

/// Binds the sockets and starts the threads, or closes.
fn run(core: &Arc<Core>) -> Result<()> {
    // Only a transport that started reports that it closed.
    let on_closed = lock(&core.handlers.on_closed).take();
    let started = bind_and_spawn(core);
    if started.is_err() {
        core.context.log.handler.close();
        core.close();
    } else {
        *lock(&core.handlers.on_closed) = on_closed;
        let bound = core.context.link.with(|now| (now.name.clone(), now.index));
        if let (name, Some(index)) = bound {
            core.log_bound(&name, index);
        }
    }
    started
}

fn bind_and_spawn(core: &Arc<Core>) -> Result<()> {
    let batch = receiver::buffers()
        .map_err(|source| TransportError::from_os("cannot map the receive buffers", source))?;
    let event_loop = EventLoop::new(core)?;
    core.spawn("dcf-tb-recv", move |core| receiver::run(core, batch))?;
    core.spawn("dcf-tb-accept", move |core| event_loop.run(core))
}
