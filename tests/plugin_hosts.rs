//! Two DCF nodes on two hosts, with the library as their plugin.

use testkit::{CProgram, Cable, Dialect, Running};

/// The node on host b, and the requests that a program on host a may make of it and of the cable.
struct Scene {
    cable: Cable,
    far: Option<Running>,
}

impl Scene {
    fn new() -> Self {
        Self {
            cable: Cable::new(),
            far: None,
        }
    }

    fn start_far(&mut self, role: &str) {
        let mut far = CProgram::new("plugin_far", Dialect::C11)
            .arg(role)
            .arg(self.cable.a().address())
            .on(self.cable.b())
            .start();
        assert_eq!(far.question(), "ready");
        self.far = Some(far);
    }

    fn act(&mut self, request: &str) -> String {
        match request {
            "kill" => self.far = None,
            "unplug" => self.cable.unplug(),
            "plug" => self.cable.plug(),
            "carrier off" => self.cable.carrier(false),
            "carrier on" => self.cable.carrier(true),
            "slow" => {
                let shape =
                    "qdisc add dev thunderbolt0 root tbf rate 10mbit burst 64kb latency 400ms";
                let shape: Vec<_> = shape.split(' ').collect();
                self.cable.a().traffic_control(&shape);
            }
            "start" => self.start_far("echo"),
            other => match other.strip_prefix("start ") {
                Some(role) => self.start_far(role),
                None => panic!("asked for {other}"),
            },
        }
        "done".to_owned()
    }

    /// Runs a program on host a until it ends, and executes its requests.
    fn play(mut self, program: &str, arguments: &[&str]) {
        let mut near = CProgram::new(program, Dialect::C11);
        for argument in arguments {
            near = near.arg(*argument);
        }
        let near = near
            .arg(self.cable.b().address())
            .arg(self.cable.a().address())
            .on(self.cable.a())
            .start();
        near.serve(|request| self.act(request));
        if let Some(mut far) = self.far.take() {
            far.answer("end");
            far.finish();
        }
    }
}

/// Runs a scene with an echoing node.
fn traffic(scene: &str) {
    let mut stage = Scene::new();
    stage.start_far("echo");
    stage.play("plugin_traffic", &[scene]);
}

#[test]
fn frames() {
    traffic("frames");
}

#[test]
fn envelopes() {
    traffic("envelopes");
}

#[test]
fn pipes() {
    traffic("pipes");
}

#[test]
fn audio() {
    traffic("audio");
}

#[test]
fn ping_rounds_to_128_peers() {
    let mut stage = Scene::new();
    for number in 1..=128 {
        let address = format!("fe80::d:{number:x}/64");
        let add = ["address", "add", &address, "dev", "thunderbolt0", "nodad"];
        stage.cable.b().ip(&add);
    }
    stage.start_far("echo");
    stage.play("plugin_traffic", &["ping rounds"]);
}

#[test]
fn health_checks_find_a_dead_peer() {
    traffic("health");
}

#[test]
fn peers_that_die_in_the_middle_of_a_large_message() {
    Scene::new().play("plugin_death", &[]);
}

#[test]
fn an_honest_host_on_a_slow_link_among_strangers() {
    Scene::new().play("plugin_slow_link", &[]);
}
