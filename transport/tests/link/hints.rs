//! Log records name settings only if the program can change them.

use std::sync::{Arc, Mutex};

use testkit::{wait_until, Cable, GENEROUS};
use thunderbolt_transport::ThunderboltTransportBuilder;

use crate::{ip, Watched};

#[test]
fn a_setting_is_named_only_to_programs_that_have_it() {
    for named in [true, false] {
        let cable = Cable::new();
        let records: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&records);
        let a = ThunderboltTransportBuilder::new()
            .name_settings(named)
            .receive_queue(1)
            .max_streams(1)
            .logger(move |_, text| kept.lock().unwrap().push(text.to_owned()));
        let a = Watched::start(cable.a(), a);
        let any = ThunderboltTransportBuilder::new().allow_any_source(true);
        let b = Watched::start(cable.b(), any);
        ip(cable.a(), "addr add fd00::a/64 dev thunderbolt0 nodad");
        ip(cable.b(), "addr add fd00::b/64 dev thunderbolt0 nodad");
        let says = |words: &str| {
            let records = records.lock().unwrap();
            records.iter().any(|text| text.contains(words))
        };
        // A refused datagram, a refused source, and a stream beyond the limit.
        let (b, link_local) = (&b.transport, cable.a().address());
        wait_until("each of them is logged", GENEROUS, || {
            cable.b().run(|| {
                let _ = b.send_message(b"from elsewhere", "fd00::a");
                let _ = b.open_data_stream("fd00::a");
                for _ in 0..8 {
                    let _ = b.send_message(b"too many", link_local);
                }
                let streams = [(); 2].map(|()| b.open_data_stream(link_local));
                drop(streams);
            });
            says("refused a datagram")
                && says("refused a stream")
                && says("data streams are open")
                && says("is full")
        });
        for setting in ["allow_any_source", "receive_queue", "max_streams"] {
            assert_eq!(says(setting), named, "{setting}: {:?}", records.lock());
        }
        a.transport.close();
    }
}
