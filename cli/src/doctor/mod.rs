//! `dcf-tb doctor`: checks what slows down or prevents the connection, and how to fix it.

mod driver;
mod finding;
mod firewall;
mod fix;
mod interface;
mod link;
mod manager;
mod peer;
pub mod ports;
mod program;
mod report;
mod settings;
mod sysroot;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::common::Common;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interface::is_plain;
use crate::output;
use crate::peer::check_peer;
use finding::{Finding, Verdict};
pub use interface::{shows_others, state, DRIVER, OTHERS, OTHERS_ADVICE};
pub use link::{connection, gigabits};
pub use sysroot::SysRoot;

/// Check the requirements of the cable, and print how to fix problems.
///
/// Each line has a verdict, a reason, and the commands that fix the problem. Nothing is changed without --fix. As
/// root it also sees which process holds a port, and the firewall rules.
#[derive(Debug, Args)]
pub struct Options {
    /// The peer whose MTU is compared. If omitted, the only one on the link. It must run `dcf-tb listen` or
    /// `dcf-tb receive`.
    peer: Option<String>,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    /// Run the commands that fix warnings and problems: print them, ask, run them, and check again.
    #[arg(long, conflicts_with_all = ["json", "root"])]
    fix: bool,

    /// With --fix, do not ask before each change.
    #[arg(long, short, requires = "fix")]
    yes: bool,

    /// Check a copy of /sys, /proc, /run and /etc in this directory instead of this machine.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/",
        hide_default_value = true
    )]
    root: PathBuf,
}

#[derive(Serialize)]
struct Report<'a> {
    interface: Option<&'a str>,
    verdict: Option<Verdict>,
    findings: &'a [Finding],
}

pub fn run(common: &Common, options: &Options) -> Result<Exit, Failure> {
    check_peer(options.peer.as_deref())?;
    if options.fix {
        fix::check_terminal(options.yes)?;
    }
    let sys = SysRoot::new(&options.root);
    let (interface, mut findings) = examine(&sys, common, options);
    if options.json {
        let report = Report {
            interface: interface.as_deref(),
            verdict: findings.iter().map(|finding| finding.verdict).max(),
            findings: &findings,
        };
        output::json(&report);
    } else {
        report::print(&findings, common.quiet);
    }
    if options.fix {
        findings = fix::run(findings, options.yes, || examine(&sys, common, options).1)?;
    }
    Ok(finding::exit(&findings))
}

fn examine(sys: &SysRoot, common: &Common, options: &Options) -> (Option<String>, Vec<Finding>) {
    let mut findings = vec![driver::kernel(sys), driver::module(sys)];
    let (found, finding) = interface::find(sys, &common.interface);
    findings.push(finding);
    if let Some(name) = &found {
        findings.extend(interface::all(sys, name));
        findings.extend(manager::all(sys, name));
        findings.push(link::rate(sys, name));
        findings.push(link::errors(sys, name));
        findings.push(driver::offload(sys, name));
        if sys.is_live() {
            findings.push(peer::mtu(sys, name, common, options.peer.as_deref()));
        }
    }
    findings.extend(ports::all(sys, common.control_port, common.data_port));
    let ports = (common.control_port, common.data_port);
    findings.push(firewall::all(sys, found.as_deref(), ports));
    if !found.as_deref().is_none_or(is_plain) {
        findings.iter_mut().for_each(|finding| finding.fix.clear());
    }
    findings.extend(settings::all(sys));
    (found, findings)
}
