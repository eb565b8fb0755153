//! Two hosts whose cable is pulled while tasks wait.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use testkit::{Cable, Host};
use thunderbolt_transport::{AsyncTransport, ThunderboltTransportBuilder, TransportError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::{assert_waits, give_up_at_once, soon};

/// Runs tasks on a thread of the host.
fn on<T: Send>(host: &Host, tasks: impl Future<Output = T> + Send) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    host.run(|| runtime.block_on(tasks))
}

fn both(cable: &Cable) -> [AsyncTransport; 2] {
    [cable.a(), cable.b()].map(|host| {
        host.run(|| ThunderboltTransportBuilder::new().build_async())
            .expect("a transport on thunderbolt0")
    })
}

fn is_link_down(error: &TransportError) -> bool {
    matches!(error, TransportError::LinkDown { .. })
}

#[test]
fn a_pulled_cable_wakes_the_tasks_and_a_plugged_one_serves_them_again() {
    let cable = Cable::new();
    let [a, b] = both(&cable);
    let peer = cable.b().address();
    let silent = cable.b().run(|| std::net::UdpSocket::bind("[::]:6000"));
    let _silent = silent.expect("a socket that does not answer");
    let mute = format!("[{peer}]:6000");
    for round in 0..3u8 {
        on(cable.a(), async {
            // A message of the previous round may have come twice.
            while give_up_at_once(a.recv(&mut [0; 8])).await.is_some() {}
            let mut stream = soon(a.open_data_stream(peer)).await.unwrap();
            stream.write_all(&[round]).await.unwrap();
            let mut byte = [0];
            let mut far = soon(b.accept()).await.unwrap();
            soon(far.read_exact(&mut byte)).await.unwrap();
            assert_eq!(byte, [round]);

            let (mut one, mut two) = ([0; 8], [0; 8]);
            let mut receiving = pin!(a.recv(&mut one));
            let mut reading = pin!(stream.read(&mut two));
            let mut measuring = pin!(a.round_trip(&mute, None));
            let mut searching = pin!(a.discover(None));
            assert_waits(&mut receiving).await;
            assert_waits(&mut reading).await;
            assert_waits(&mut measuring).await;
            assert_waits(&mut searching).await;
            soon(a.wait_link(true)).await.unwrap();
            // A cancelled wait takes no event from the next one.
            assert!(give_up_at_once(a.wait_link(false)).await.is_none());
            let mut waiting = pin!(a.wait_link(false));
            assert_waits(&mut waiting).await;
            cable.unplug();
            soon(waiting).await.unwrap();
            assert!(!a.transport().get_stats().link_up);
            let read = soon(reading).await.unwrap_err().downcast().unwrap();
            assert!(is_link_down(&read), "{read}");
            let measured = soon(measuring).await.unwrap_err();
            assert!(is_link_down(&measured), "{measured}");
            let found = soon(searching).await.unwrap_err();
            assert!(is_link_down(&found), "{found}");
            let opened = soon(a.open_data_stream(peer)).await.unwrap_err();
            assert!(is_link_down(&opened), "{opened}");
            // The queue does not depend on the link: a waiting receive goes on waiting.
            assert_waits(&mut receiving).await;

            cable.plug();
            // Right after a replug the hosts may not listen yet, and messages are lost.
            let short = Duration::from_millis(100);
            let again = async {
                while a.round_trip(peer, Some(short)).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                loop {
                    let _ = b.send_message(b"again", cable.a().address()).await;
                    if let Ok(received) = timeout(short, &mut receiving).await {
                        return received.unwrap().0;
                    }
                }
            };
            assert_eq!(soon(again).await, 5);
        });
    }
    assert_eq!(a.transport().get_stats().streams_open, 0);
}

#[test]
fn discovery_finds_the_other_host() {
    let cable = Cable::new();
    let [a, _b] = both(&cable);
    let peers = on(
        cable.a(),
        soon(a.discover(Some(Duration::from_millis(300)))),
    );
    let peers = peers.unwrap();
    let addresses: Vec<_> = peers.iter().map(|peer| peer.address.as_str()).collect();
    assert_eq!(addresses, [cable.b().address()]);
    let first = on(cable.a(), soon(a.discover_first(1, None))).unwrap();
    assert_eq!(first[0].address, cable.b().address());
}

#[test]
fn an_unanswered_connect_ends_with_its_timeout_its_task_or_the_carrier() {
    let cable = Cable::new();
    let [a, _b] = both(&cable);
    on(cable.a(), async {
        let timeout = Some(Duration::from_millis(30));
        let late = soon(a.open_data_stream_timeout("fe80::1", timeout)).await;
        assert!(matches!(late, Err(TransportError::Timeout)), "{late:?}");
        let now = soon(a.open_data_stream_timeout("fe80::1", Some(Duration::ZERO))).await;
        assert!(matches!(now, Err(TransportError::WouldBlock)), "{now:?}");
        {
            let mut cancelled = pin!(a.open_data_stream_timeout("fe80::1", None));
            assert_waits(&mut cancelled).await;
            assert_eq!(a.transport().get_stats().streams_open, 1);
        }
        assert_eq!(a.transport().get_stats().streams_open, 0);
        let mut opening = pin!(a.open_data_stream_timeout("fe80::1", None));
        assert_waits(&mut opening).await;
        cable.carrier(false);
        let error = soon(opening).await.unwrap_err();
        assert!(is_link_down(&error), "{error}");
    });
}
