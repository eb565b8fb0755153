//! The progress bar of a transfer, on a terminal only.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::output::{self, Verbosity};
use crate::units::{bytes, count, rate};

/// How often the bar is redrawn without progress.
const TICK: Duration = Duration::from_millis(250);

/// The parts of the line, for terminals with at least so many columns.
const TEMPLATES: [(usize, &str); 3] = [
    (
        90,
        "{wide_msg} [{bar:20}] {percent:>3}% {prefix} {size:>10} {rate:>10} {eta:>4}",
    ),
    (
        60,
        "{wide_msg} [{bar:10}] {percent:>3}% {prefix} {rate:>10} {eta:>4}",
    ),
    (0, "{wide_msg} {percent:>3}% {rate:>10} {eta:>4}"),
];

/// A progress bar, which is removed from the screen when it is dropped.
pub struct Progress {
    bar: ProgressBar,
    /// Files that were begun, and all that will be.
    begun: AtomicU64,
    files: u64,
}

impl Progress {
    /// Creates a bar at `done` of `total` bytes, for so many files.
    pub fn new(done: u64, total: u64, files: u64) -> Self {
        let target = if output::wants(Verbosity::Normal) {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bars = MultiProgress::with_draw_target(target);
        let bar = bars.add(ProgressBar::new(total));
        let columns = output::bar_columns().unwrap_or(usize::MAX);
        let fits = |(least, _): &&(usize, &str)| columns >= *least;
        let (_, template) = TEMPLATES
            .iter()
            .find(fits)
            .expect("the last one always fits");
        let style = ProgressStyle::with_template(template)
            .expect("the template is right")
            .with_key("size", |state: &ProgressState, to: &mut dyn Write| {
                // An error of a string cannot happen.
                let _ = write!(to, "{}", bytes(state.pos()));
            })
            .with_key("rate", |state: &ProgressState, to: &mut dyn Write| {
                let _ = write!(to, "{}", rate(state.per_sec()));
            })
            .progress_chars(output::bar_characters());
        bar.set_style(style);
        bar.set_position(done);
        // Existing data must not count for the rate.
        bar.reset_eta();
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        output::set_bars(Some(bars));
        Self {
            bar,
            begun: AtomicU64::new(0),
            files,
        }
    }

    /// Removes the bar from the screen.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
        output::set_bars(None);
    }

    /// The next file begins.
    #[expect(clippy::disallowed_methods, reason = "it is escaped")]
    pub fn name(&self, name: &str) {
        let begun = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        if self.files > 1 {
            let files = format!("{}/{} files", count(begun), count(self.files));
            self.bar.set_prefix(files);
        }
        self.bar.set_message(output::for_bar(name));
    }

    pub fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// Subtracts bytes that were counted as done and were wrong.
    pub fn take_back(&self, bytes: u64) {
        self.bar.dec(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
