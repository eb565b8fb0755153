//! Runs any sequence of calls of the C ABI, and compares the results with a model.
//!
//! A run starts transports on the loopback interface of a network namespace, calls functions with live,
//! stale and made-up handles, and compares every status, every byte and every counter with the model
//! (`world`). At the end, all sent data must have arrived, and no thread and no descriptor may be left.
#![no_main]

mod bytes;
mod contract;
mod messages;
mod operation;
mod recorder;
mod rounds;
mod starting;
mod streams;
mod surroundings;
mod transports;
mod world;

use libfuzzer_sys::fuzz_target;

use operation::Script;
use surroundings::{descriptors, threads, wait_until};
use world::World;

fuzz_target!(
    init: surroundings::isolate(),
    |script: Script| {
        let before = descriptors();
        let mut world = World::new(script.transports, script.streams);
        for operation in &script.operations {
            world.run(operation);
        }
        world.end();
        wait_until("the library's threads end", || threads().is_empty());
        wait_until("all descriptors are closed", || descriptors() == before);
    }
);
