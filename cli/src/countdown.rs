//! Tells the user about a wait: a line, and on a terminal the seconds that are left.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::output::{self, Verbosity};

/// How often the seconds are drawn.
const TICK: Duration = Duration::from_millis(250);

/// A wait, until it is dropped.
pub struct Countdown(ProgressBar);

impl Countdown {
    /// Begins a wait, and says why.
    pub fn new(why: &str, limit: Duration) -> Self {
        let seconds = limit.as_secs_f64();
        output::note(&format!("{why}; waiting for up to {seconds:.0} s"));
        let target = match output::wants(Verbosity::Normal) {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bars = MultiProgress::with_draw_target(target);
        let bar = bars.add(ProgressBar::new_spinner());
        let begin = Instant::now();
        let left = move |_: &ProgressState, to: &mut dyn std::fmt::Write| {
            let left = limit.saturating_sub(begin.elapsed()).as_secs();
            // An error of a string cannot happen.
            let _ = write!(to, "{left}");
        };
        let style = ProgressStyle::with_template("waiting: {left} s left, Ctrl-C ends it");
        let style = style.expect("the template is right");
        bar.set_style(style.with_key("left", left));
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        output::set_bars(Some(bars));
        Self(bar)
    }
}

impl Drop for Countdown {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
