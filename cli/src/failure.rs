//! Failures: what went wrong, with which exit code, and what to do about it.

use anstyle::{AnsiColor, Style};
use thunderbolt_transport::TransportError;

use crate::exit::Exit;
use crate::hints::in_tool;
use crate::output;

/// Why it did not work, and what to do.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub text: String,
    pub advice: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self {
            exit,
            text: text.into(),
            advice: None,
        }
    }

    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Puts the words for what was being done in front.
    #[must_use]
    pub fn during(mut self, what: impl std::fmt::Display) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }

    /// Says it. Who interrupted us knows.
    pub fn report(&self) {
        if self.exit == Exit::Interrupted {
            return;
        }
        let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
        output::marked_error(red, "dcf-tb:", &format!(" {}", self.text));
        if let Some(advice) = &self.advice {
            output::error(&format!("        {advice}"));
        }
    }
}

impl From<TransportError> for Failure {
    /// On the thread that made the call: it has the text of a time-out.
    fn from(error: TransportError) -> Self {
        let exit = match &error {
            TransportError::InterfaceNotFound(_) | TransportError::LinkDown { .. } => Exit::Link,
            // The kernel's time limit for an answer, or ours.
            TransportError::ConnectionFailed(_) | TransportError::Timeout => Exit::Peer,
            TransportError::InvalidAddress(_) => Exit::Usage,
            TransportError::Shutdown | TransportError::Cancelled
                if crate::interrupt::is_interrupted() =>
            {
                Exit::Interrupted
            }
            _ => Exit::Failed,
        };
        let advice = match &error {
            TransportError::InterfaceNotFound(_) | TransportError::LinkDown { .. } => {
                Some("`dcf-tb doctor` says what is missing")
            }
            TransportError::AddressInUse { protocol, .. } if protocol.starts_with("UDP") => {
                Some("--control-port takes another one; the other side then needs the same")
            }
            TransportError::AddressInUse { .. } => {
                Some("--data-port takes another one; the other side then needs the same")
            }
            _ => None,
        };
        Self {
            exit,
            text: in_tool(&error.last_error_text()),
            advice: advice.map(str::to_owned),
        }
    }
}
