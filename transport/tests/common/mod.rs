//! What the tests on the loopback interface share.

use thunderbolt_transport::ThunderboltTransportBuilder;

/// A transport on the loopback interface, at free ports.
///
/// The ports are outside the range from which the kernel assigns them, so they stay free when the transport closes.
/// A test that opens its ports again would otherwise fail when the kernel had given one to another test meanwhile.
pub fn loopback() -> ThunderboltTransportBuilder {
    let (control, data) = testkit::free_ports();
    ThunderboltTransportBuilder::new()
        .interface("lo")
        .control_port(control)
        .data_port(data)
}
