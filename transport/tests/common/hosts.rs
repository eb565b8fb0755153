//! Transports on the hosts of a cable.

use std::sync::Arc;

use testkit::{Cable, Host};
use thunderbolt_transport::{ThunderboltTransport, ThunderboltTransportBuilder};

pub fn start(host: &Host, builder: ThunderboltTransportBuilder) -> Arc<ThunderboltTransport> {
    host.run(|| builder.build())
        .expect("a transport on thunderbolt0")
}

pub fn both(cable: &Cable) -> [Arc<ThunderboltTransport>; 2] {
    [cable.a(), cable.b()].map(|host| start(host, ThunderboltTransportBuilder::new()))
}
