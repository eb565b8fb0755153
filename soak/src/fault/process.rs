//! What happens to a host's process.

use nix::sys::signal::Signal;

use super::Undo;
use crate::stage::Stage;

type Begun = Result<Undo, String>;

pub fn stop(stage: &mut Stage, victim: usize) -> Begun {
    stage.sides[victim].signal(Signal::SIGSTOP)?;
    stage.sides[victim].can_answer = false;
    Ok(Box::new(move |stage| {
        stage.sides[victim].can_answer = true;
        stage.sides[victim].signal(Signal::SIGCONT)
    }))
}

pub fn kill(stage: &mut Stage, victim: usize) -> Begun {
    stage.kill(victim)?;
    Ok(Box::new(move |stage| stage.start_again(victim)))
}

/// There are a few left, or none.
pub fn take_descriptors(stage: &mut Stage, victim: usize, detail: u64) -> Begun {
    stage.sides[victim].tell(&format!("descriptors {}", detail % 4))?;
    Ok(Box::new(move |stage| {
        stage.sides[victim].tell("descriptors -1")
    }))
}

pub fn interrupt(stage: &mut Stage, victim: usize) -> Begun {
    stage.sides[victim].tell("interrupt 1")?;
    Ok(Box::new(move |stage| {
        stage.sides[victim].tell("interrupt 0")
    }))
}

pub fn stall(stage: &mut Stage, victim: usize) -> Begun {
    stage.sides[victim].tell("stall 1")?;
    Ok(Box::new(move |stage| stage.sides[victim].tell("stall 0")))
}

/// It ends by itself, when the transport is open again.
pub fn reopen(stage: &mut Stage, victim: usize) -> Begun {
    let before = stage.sides[victim].report()?.get("reopened");
    stage.sides[victim].tell("reopen")?;
    Ok(Box::new(move |stage| {
        stage.wait("the transport is open again", |stage| {
            Ok(stage.sides[victim].report()?.get("reopened") > before)
        })
    }))
}
