//! What the tests on the loopback interface share.

use thunderbolt_transport::ThunderboltTransportBuilder;

/// A transport on the loopback interface, at ports that are free.
pub fn loopback() -> ThunderboltTransportBuilder {
    ThunderboltTransportBuilder::new()
        .interface("lo")
        .control_port(0)
        .data_port(0)
}
