//! Helpers of the tests with two hosts.

use testkit::{CProgram, Dialect, Host, Running};

/// The other host: echoes messages and streams until it is dropped or stopped.
pub struct FarHost(Running);

impl FarHost {
    pub fn start(host: &Host) -> Self {
        let mut running = CProgram::new("far_host", Dialect::C11).on(host).start();
        assert_eq!(running.question(), "ready");
        Self(running)
    }

    /// Stops it. It must end with success, whatever happened to the cable.
    pub fn stop(mut self) {
        self.0.answer("end");
        self.0.finish();
    }
}
