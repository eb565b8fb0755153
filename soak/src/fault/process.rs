//! Faults of a host's process.

use nix::sys::signal::Signal;

use super::Undo;
use crate::testbed::Testbed;

type Begun = Result<Undo, String>;

pub fn stop(testbed: &mut Testbed, victim: usize) -> Begun {
    testbed.processes[victim].signal(Signal::SIGSTOP)?;
    testbed.processes[victim].can_answer = false;
    Ok(Box::new(move |testbed| {
        testbed.processes[victim].can_answer = true;
        testbed.processes[victim].signal(Signal::SIGCONT)
    }))
}

pub fn kill(testbed: &mut Testbed, victim: usize) -> Begun {
    testbed.kill(victim)?;
    Ok(Box::new(move |testbed| testbed.restart(victim)))
}

/// Leaves the process a few descriptors, or none.
pub fn take_descriptors(testbed: &mut Testbed, victim: usize, detail: u64) -> Begun {
    testbed.processes[victim].tell(&format!("descriptors {}", detail % 4))?;
    Ok(Box::new(move |testbed| {
        testbed.processes[victim].tell("descriptors -1")
    }))
}

pub fn interrupt(testbed: &mut Testbed, victim: usize) -> Begun {
    testbed.processes[victim].tell("interrupt 1")?;
    Ok(Box::new(move |testbed| {
        testbed.processes[victim].tell("interrupt 0")
    }))
}

pub fn stall(testbed: &mut Testbed, victim: usize) -> Begun {
    testbed.processes[victim].tell("stall 1")?;
    Ok(Box::new(move |testbed| {
        testbed.processes[victim].tell("stall 0")
    }))
}

/// The fault ends when the transport is open again.
pub fn reopen(testbed: &mut Testbed, victim: usize) -> Begun {
    let before = testbed.processes[victim].report()?.get("reopened");
    testbed.processes[victim].tell("reopen")?;
    Ok(Box::new(move |testbed| {
        testbed.wait("the transport to be open again", |testbed| {
            Ok(testbed.processes[victim].report()?.get("reopened") > before)
        })
    }))
}
