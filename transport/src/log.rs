//! Log records. They go to the user's logger only.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::handler_cell::HandlerCell;
use crate::sync::thread_local;

/// Called with a log record.
pub type LogHandler = Box<dyn Fn(LogLevel, &str) + Send + Sync>;

/// The severity of a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LogLevel {
    /// Details of single events, such as a stream that opened or closed.
    Debug = 1,
    /// Infrequent events: started, link up.
    Info = 2,
    /// A failure from which the transport continues: a refused source, a full queue.
    Warn = 3,
    /// A failure that lasts until the user corrects its cause.
    Error = 4,
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}

/// Logs through `$logger` if it wants `$level`. Otherwise the arguments are not evaluated.
macro_rules! log {
    ($logger:expr, $level:ident, $($format:tt)+) => {
        if $logger.wants($crate::log::LogLevel::$level) {
            $logger.write($crate::log::LogLevel::$level, format_args!($($format)+));
        }
    };
}
pub(crate) use log;

/// The user's logger and the lowest level that it wants.
pub(crate) struct Logger {
    /// The number of a [`LogLevel`].
    lowest: AtomicU8,
    pub handler: HandlerCell<LogHandler>,
}

impl Logger {
    pub fn new(lowest: LogLevel, handler: Option<LogHandler>) -> Self {
        Self {
            lowest: AtomicU8::new(lowest as u8),
            handler: HandlerCell::new(handler),
        }
    }

    pub fn wants(&self, level: LogLevel) -> bool {
        level as u8 >= self.lowest.load(Ordering::Relaxed) && self.handler.is_set()
    }

    pub fn lowest(&self) -> LogLevel {
        let number = self.lowest.load(Ordering::Relaxed);
        [LogLevel::Debug, LogLevel::Info, LogLevel::Warn]
            .into_iter()
            .find(|level| *level as u8 == number)
            .unwrap_or(LogLevel::Error)
    }

    pub fn set_lowest(&self, level: LogLevel) {
        self.lowest.store(level as u8, Ordering::Relaxed);
    }

    /// Calls the logger, with no lock held. A record that the logger itself causes is dropped, because
    /// it would cause the next one.
    pub fn write(&self, level: LogLevel, message: fmt::Arguments<'_>) {
        thread_local! {
            static LOGGING: Cell<bool> = const { Cell::new(false) };
        }
        if LOGGING.with(|logging| logging.replace(true)) {
            return;
        }
        if let Some(handler) = self.handler.enter() {
            match message.as_str() {
                Some(text) => handler.call(|handler| handler(level, text)),
                None => handler.call(|handler| handler(level, &message.to_string())),
            };
        }
        LOGGING.with(|logging| logging.set(false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn records_below_the_level_are_not_formatted() {
        struct Unformattable;
        impl fmt::Display for Unformattable {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("formatted");
            }
        }
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let logger = Logger::new(
            LogLevel::Warn,
            Some(Box::new(move |level, text| {
                sink.lock().unwrap().push((level, text.to_owned()))
            })),
        );
        log!(logger, Info, "{}", Unformattable);
        log!(logger, Warn, "port {} is taken", 5000);
        assert_eq!(
            *seen.lock().unwrap(),
            [(LogLevel::Warn, "port 5000 is taken".to_owned())]
        );
    }
}
