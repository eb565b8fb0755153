//! The machine and the time of a measurement, on which a result depends.

use std::fs;

use serde::Serialize;
use time::OffsetDateTime;

/// This machine, and the time.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// In UTC, `2026-11-30 16:00:00`.
    pub date: String,
    pub host: Option<String>,
    pub kernel: Option<String>,
    pub mtu: Option<u64>,
    /// The version of this program.
    pub version: &'static str,
}

impl Machine {
    pub fn new(interface: &str) -> Self {
        let read = |path: &str| {
            let text = fs::read_to_string(path).ok()?;
            Some(text.trim().to_owned())
        };
        Self {
            date: date(OffsetDateTime::now_utc()),
            host: read("/proc/sys/kernel/hostname"),
            kernel: read("/proc/sys/kernel/osrelease"),
            mtu: read(&format!("/sys/class/net/{interface}/mtu")).and_then(|mtu| mtu.parse().ok()),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// For a table.
    pub fn rows(&self) -> Vec<(String, String)> {
        let unknown = || "unknown".to_owned();
        let mtu = self.mtu.map(|mtu| mtu.to_string());
        [
            ("date", format!("{} UTC", self.date)),
            ("host", self.host.clone().unwrap_or_else(unknown)),
            ("kernel", self.kernel.clone().unwrap_or_else(unknown)),
            ("MTU", mtu.unwrap_or_else(unknown)),
            ("dcf-tb", self.version.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

fn date(time: OffsetDateTime) -> String {
    let (hour, minute, second) = time.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02}", time.date())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_sorts_as_text() {
        let time = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        assert_eq!(date(time), "2023-11-14 22:13:20");
    }
}
