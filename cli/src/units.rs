//! Formats quantities for people.

use std::time::Duration;

/// Formats bytes with a binary unit: `1.50 GiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.2} {}", UNITS[unit])
}

/// Formats a rate as networks and cables are labelled: `9.40 Gb/s`.
pub fn rate(bytes_per_second: f64) -> String {
    let bits = bytes_per_second * 8.0;
    match bits {
        _ if bits < 1e6 => format!("{:.1} kb/s", bits / 1e3),
        _ if bits < 1e9 => format!("{:.1} Mb/s", bits / 1e6),
        _ => format!("{:.2} Gb/s", bits / 1e9),
    }
}

/// Formats the rate of `bytes` in `time`.
pub fn rate_of(bytes: u64, time: Duration) -> String {
    rate(bytes as f64 / time.as_secs_f64().max(1e-9))
}

pub fn microseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

/// A number for JSON, to three decimals: more would be noise.
pub fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Formats microseconds, always in this unit, so that lines can be compared: `43.2 µs`.
pub fn in_microseconds(time: Duration) -> String {
    format!("{:.1} µs", microseconds(time))
}

/// Formats a short time: `43.2 µs`, `1.52 ms`.
pub fn short_time(time: Duration) -> String {
    let us = microseconds(time);
    match us {
        _ if us < 1000.0 => format!("{us:.1} µs"),
        _ if us < 1e6 => format!("{:.2} ms", us / 1e3),
        _ => format!("{:.2} s", us / 1e6),
    }
}

/// Formats a whole number with separators: `1,234,567`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a number of files, and of links if there are any.
pub fn files_and_links(files: u64, links: u64) -> String {
    let files = plural(files, "file", "files");
    match links {
        0 => files,
        _ => format!("{files} and {}", plural(links, "link", "links")),
    }
}

/// Formats a number with the singular or the plural.
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_short() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536 << 20), "1.50 GiB");
        assert_eq!(bytes(1023 << 20), "1.00 GiB");
        assert_eq!(bytes(u64::MAX), "16.00 EiB");
        assert_eq!(rate(1.175e9), "9.40 Gb/s");
        assert_eq!(rate(1.25e6), "10.0 Mb/s");
        assert_eq!(rate(0.0), "0.0 kb/s");
        assert_eq!(short_time(Duration::from_nanos(43_210)), "43.2 µs");
        assert_eq!(short_time(Duration::from_micros(1520)), "1.52 ms");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(123), "123");
        assert_eq!(plural(1, "file", "files"), "1 file");
    }
}
