//! Checks the settings of the kernel and the processors.

use super::finding::{Finding, Fix};
use super::sysroot::SysRoot;
use crate::units::bytes;

/// The best limit of buffers for a cable of 40 Gb/s.
const BUFFER: u64 = 64 << 20;
/// From this limit on, streams set their own send buffer (docs/TUNING.md).
const STREAM_BUFFER: u64 = 4 << 20;
/// The limit of TCP's automatic tuning: some milliseconds at 40 Gb/s.
const TCP_BUFFER: u64 = 6 << 20;

pub fn all(sys: &SysRoot) -> Vec<Finding> {
    vec![
        socket_buffers(sys),
        tcp_buffers(sys),
        slow_start(sys),
        governor(sys),
    ]
}

fn sysctl(sys: &SysRoot, name: &str) -> Option<String> {
    sys.read(&format!("proc/sys/{}", name.replace('.', "/")))
}

fn socket_buffers(sys: &SysRoot) -> Finding {
    const CHECK: &str = "buffers";
    let names = ["net.core.rmem_max", "net.core.wmem_max"];
    let values: Vec<Option<u64>> = names
        .iter()
        .map(|name| sysctl(sys, name)?.parse().ok())
        .collect();
    let [Some(receive), Some(send)] = values[..] else {
        // They are not visible in other network namespaces.
        return Finding::note(
            CHECK,
            "net.core.rmem_max and wmem_max are not visible in this network namespace",
        );
    };
    let text = format!("rmem_max {}, wmem_max {}", bytes(receive), bytes(send));
    let fix = ["rmem", "wmem"].map(|name| format!("net.core.{name}_max={BUFFER}"));
    let fix = || Fix::new(["sysctl", "-w", &fix[0], &fix[1]]);
    if receive < STREAM_BUFFER || send < STREAM_BUFFER {
        Finding::warning(
            CHECK,
            format!("{text}: bursts of messages are lost, and streams have small buffers"),
        )
        .fixed_by(fix())
    } else if receive < BUFFER || send < BUFFER {
        Finding::note(
            CHECK,
            format!(
                "{text}: enough for streams; long bursts of messages need {}",
                bytes(BUFFER)
            ),
        )
        .fixed_by(fix())
    } else {
        Finding::good(CHECK, text)
    }
}

fn tcp_buffers(sys: &SysRoot) -> Finding {
    const CHECK: &str = "tcp buffers";
    let three = |name: &str| -> Option<[u64; 3]> {
        let values = sysctl(sys, name)?;
        let values: Result<Vec<u64>, _> = values.split_whitespace().map(str::parse).collect();
        values.ok()?.try_into().ok()
    };
    let (Some(input), Some(output)) = (three("net.ipv4.tcp_rmem"), three("net.ipv4.tcp_wmem"))
    else {
        return Finding::unknown(CHECK, "cannot read net.ipv4.tcp_rmem and tcp_wmem");
    };
    let (receive, send) = (input[2], output[2]);
    let text = format!("up to {} in, {} out", bytes(receive), bytes(send));
    // Keep the minimum and the default.
    let larger = |name: &str, [least, first, _]: [u64; 3]| {
        Fix::new([
            "sysctl",
            "-w",
            &format!("net.ipv4.{name}={least} {first} {BUFFER}"),
        ])
    };
    let small = (receive < TCP_BUFFER, send < STREAM_BUFFER);
    if small == (false, false) {
        return Finding::good(CHECK, text);
    }
    let mut finding = Finding::warning(CHECK, format!("{text}: too small for a fast cable"));
    if small.0 {
        finding = finding.fixed_by(larger("tcp_rmem", input));
    }
    if small.1 {
        finding = finding.fixed_by(larger("tcp_wmem", output));
    }
    finding
}

fn slow_start(sys: &SysRoot) -> Finding {
    const CHECK: &str = "slow start";
    match sysctl(sys, "net.ipv4.tcp_slow_start_after_idle").as_deref() {
        Some("0") => Finding::good(CHECK, "an idle stream resumes at full speed"),
        Some(_) => Finding::note(CHECK, "an idle stream resumes slowly").fix([
            "sysctl",
            "-w",
            "net.ipv4.tcp_slow_start_after_idle=0",
        ]),
        None => Finding::unknown(CHECK, "cannot read net.ipv4.tcp_slow_start_after_idle"),
    }
}

fn governor(sys: &SysRoot) -> Finding {
    const CHECK: &str = "governor";
    const FOLDER: &str = "sys/devices/system/cpu";
    let is_cpu = |name: &String| {
        name.strip_prefix("cpu")
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let cpus: Vec<String> = sys.list(FOLDER).into_iter().filter(is_cpu).collect();
    let of = |cpu: &String, what: &str| sys.read(&format!("{FOLDER}/{cpu}/cpufreq/{what}"));
    let mut governors: Vec<String> = cpus
        .iter()
        .filter_map(|cpu| of(cpu, "scaling_governor"))
        .collect();
    governors.sort();
    governors.dedup();
    if cpus.is_empty() {
        return Finding::unknown(CHECK, "sysfs shows no processors");
    }
    if governors.is_empty() {
        return Finding::good(
            CHECK,
            "no processor has a governor: the kernel does not scale frequencies",
        );
    }
    let text = governors.join(", ");
    if governors == ["performance"] {
        return Finding::good(CHECK, "performance, for all processors with a governor");
    }
    // With these drivers the processor scales its own frequency, and "powersave" wakes up fast.
    let driver = cpus
        .iter()
        .find_map(|cpu| of(cpu, "scaling_driver"))
        .unwrap_or_default();
    let is_quick = ["intel_pstate", "amd-pstate-epp"].contains(&driver.as_str());
    let fix = ["cpupower", "frequency-set", "--governor", "performance"];
    if !is_quick && governors.iter().any(|governor| governor == "powersave") {
        Finding::warning(
            CHECK,
            format!("{text} ({driver}): the processors stay at their lowest frequency"),
        )
        .fix(fix)
    } else {
        Finding::note(
            CHECK,
            format!("{text} ({driver}): round trips are shorter with performance"),
        )
        .fix(fix)
    }
}
