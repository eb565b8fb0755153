//! Failures: what went wrong, the exit code, and what to do about it.

use anstyle::{AnsiColor, Style};
use thunderbolt_transport::TransportError;

use crate::exit::Exit;
use crate::hints::in_tool;
use crate::output;

/// A failure, as the user sees it.
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

    /// Puts the operation that failed in front of the text.
    #[must_use]
    pub fn during(mut self, what: impl std::fmt::Display) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }

    /// Prints the failure, unless the user caused it by an interrupt.
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
    /// Must be called on the thread that made the call, which keeps the text of a timeout.
    fn from(error: TransportError) -> Self {
        let exit = match &error {
            TransportError::InterfaceNotFound(_) | TransportError::LinkDown { .. } => Exit::Link,
            // The kernel's time limit, or ours, ran out.
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
                Some("run `dcf-tb doctor` to find the cause")
            }
            TransportError::AddressInUse { protocol, .. } if protocol.starts_with("UDP") => {
                Some("choose another port with --control-port, on both sides")
            }
            TransportError::AddressInUse { .. } => {
                Some("choose another port with --data-port, on both sides")
            }
            _ => None,
        };
        let text = in_tool(&error.last_error_text());
        // The user did not type this name.
        let text = match text.strip_prefix("network interface \"auto\" not found: ") {
            Some(why) => format!("no Thunderbolt interface was found: {why}"),
            None => text,
        };
        Self {
            exit,
            text,
            advice: advice.map(str::to_owned),
        }
    }
}
