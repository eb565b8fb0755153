//! The progress bar of a benchmark.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{self, Verbosity};

/// The current measurement and the progress, on a terminal only.
pub struct Progress(ProgressBar);

impl Progress {
    const STEPS: u64 = 7;

    pub fn new() -> Self {
        let target = match output::wants(Verbosity::Normal) {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(Self::STEPS), target);
        let style =
            ProgressStyle::with_template("[{bar:14}] {wide_msg}").expect("the template is right");
        bar.set_style(style.progress_chars(output::bar_characters()));
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        Self(bar)
    }

    pub fn step(&self, what: &str) {
        self.message(what.to_owned());
        self.0.inc(1);
    }

    #[expect(clippy::disallowed_methods, reason = "our own words and numbers")]
    fn message(&self, text: String) {
        self.0.set_message(text);
    }

    /// Shows the current rate.
    pub fn rate(&self, what: &str, rate: &str) {
        self.message(format!("streams: {what} {rate}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
