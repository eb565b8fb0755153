//! The progress bar of a transfer, on a terminal only.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{self, Verbosity};

/// How often the bar is redrawn without progress.
const TICK: Duration = Duration::from_millis(250);

/// A progress bar, which is removed from the screen when it is dropped.
pub struct Progress(ProgressBar);

impl Progress {
    /// Creates a bar at `done` of `total` bytes.
    pub fn new(done: u64, total: u64) -> Self {
        let target = if output::wants(Verbosity::Normal) {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bars = MultiProgress::with_draw_target(target);
        let bar = bars.add(ProgressBar::new(total));
        let style = ProgressStyle::with_template(
            "{wide_msg} {bar:24} {percent:>3}% {binary_bytes:>10} {binary_bytes_per_sec:>12} {eta:>4}",
        )
        .expect("the template is right")
        .progress_chars("█▉▊▋▌▍▎▏ ");
        bar.set_style(style);
        bar.set_position(done);
        // Existing data must not count for the rate.
        bar.reset_eta();
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        output::set_bars(Some(bars));
        Self(bar)
    }

    /// Removes the bar from the screen.
    pub fn clear(&self) {
        self.0.finish_and_clear();
        output::set_bars(None);
    }

    #[expect(clippy::disallowed_methods, reason = "it is escaped")]
    pub fn name(&self, name: &str) {
        self.0.set_message(output::escape(name));
    }

    pub fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Subtracts bytes that were counted as done and were wrong.
    pub fn take_back(&self, bytes: u64) {
        self.0.dec(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
