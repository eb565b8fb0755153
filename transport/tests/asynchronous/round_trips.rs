//! Round trips and discovery.

use std::net::UdpSocket;
use std::pin::pin;
use std::sync::mpsc;
use std::time::Duration;

use testkit::GENEROUS;
use thunderbolt_transport::{PingOptions, TransportError};

use crate::{assert_waits, control_of, loopback, soon, transport};

#[tokio::test]
async fn round_trips_and_series_are_measured() {
    let (a, b) = (transport(), transport());
    let rtt = soon(a.measure_rtt(&control_of(&b), GENEROUS))
        .await
        .unwrap();
    assert!(rtt.expect("b answers") > 0.0);
    let options = PingOptions {
        count: 50,
        interval: Duration::from_millis(1),
        timeout: Some(GENEROUS),
    };
    let summary = soon(a.ping(&control_of(&b), &options)).await.unwrap();
    assert_eq!((summary.sent, summary.received), (50, 50));
    assert!(summary.min > Duration::ZERO && summary.min <= summary.max);
    let (asked, answered) = (a.transport().get_stats(), b.transport().get_stats());
    assert_eq!((asked.pings_sent, asked.pongs_received), (51, 51));
    assert_eq!((answered.pings_answered, asked.errors), (51, 0));
}

#[tokio::test]
async fn an_absent_peer_is_none_and_not_an_error() {
    let a = transport();
    let silent = UdpSocket::bind("[::1]:0").unwrap();
    let peer = format!("[::1%lo]:{}", silent.local_addr().unwrap().port());
    for timeout in [Duration::ZERO, Duration::from_millis(30)] {
        let rtt = soon(a.measure_rtt(&peer, timeout)).await;
        assert!(matches!(rtt, Ok(None)), "{rtt:?}");
    }
    let late = soon(a.round_trip(&peer, Some(Duration::from_millis(30)))).await;
    assert!(matches!(late, Err(TransportError::Timeout)), "{late:?}");
    let peers = soon(a.discover(Some(Duration::from_millis(30)))).await;
    assert_eq!(peers.unwrap(), [], "lo has no peers");
    assert_eq!(a.transport().get_stats().errors, 0);
    assert!(matches!(
        soon(a.discover_port(0, None)).await,
        Err(TransportError::OutOfRange { .. })
    ));
}

/// The kernel reports that nothing listens at once, whatever the timeout. A later listener is reached.
#[tokio::test]
async fn a_port_that_nothing_listens_on_refuses() {
    let (a, b) = (transport(), transport());
    let (there, data) = (control_of(&b), b.transport().data_port());
    let port = b.transport().control_port();
    soon(a.round_trip(&there, None)).await.unwrap();
    b.close().await;
    let short = Some(Duration::from_millis(300));
    for _ in 0..20 {
        // A busy kernel drops some ICMP errors.
        let error = soon(async {
            loop {
                match a.round_trip(&there, short).await.unwrap_err() {
                    TransportError::Timeout => {}
                    error => break error,
                }
            }
        })
        .await;
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED), "{error}");
        let words = format!("nothing listens on UDP port {port} of ::1%lo");
        assert!(error.to_string().contains(&words), "{error}");
    }
    let options = PingOptions {
        count: 5,
        interval: Duration::ZERO,
        timeout: short,
    };
    let error = soon(a.ping(&there, &options)).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED), "{error}");
    assert!(a.transport().get_stats().pings_undelivered >= 20);
    let again = loopback().control_port(port).data_port(data);
    let _b = again.build_async().expect("the same ports");
    let summary = soon(a.ping(&there, &options)).await.unwrap();
    assert_eq!(summary.received, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_measure_at_once() {
    let (a, b) = (transport(), transport());
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (a, peer) = (a.clone(), control_of(&b));
            tokio::spawn(async move { a.round_trip(&peer, Some(GENEROUS)).await })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap().unwrap();
    }
}

/// The socket of a cancelled measurement is reused by the next one, which gets its own answer.
#[tokio::test]
async fn a_cancelled_measurement_leaves_the_next_one_alone() {
    let (a, b) = (transport(), transport());
    let silent = UdpSocket::bind("[::1]:0").unwrap();
    let nobody = format!("[::1%lo]:{}", silent.local_addr().unwrap().port());
    for _ in 0..50 {
        for peer in [&nobody, &control_of(&b)] {
            // Cancelled with its ping in flight.
            let one = a.round_trip(peer, None);
            crate::give_up_at_once(one).await;
        }
        soon(a.round_trip(&control_of(&b), None)).await.unwrap();
    }
    let mut one = pin!(a.round_trip(&nobody, None));
    assert_waits(&mut one).await;
}

/// A peer that answers with plain sockets sends its pong to the control port. The receiver passes it to
/// the task.
#[tokio::test]
async fn a_pong_by_the_control_port_wakes_the_task() {
    let a = transport();
    let peer = UdpSocket::bind("[::1]:0").unwrap();
    let name = format!("[::1%lo]:{}", peer.local_addr().unwrap().port());
    let to = format!("[::1]:{}", a.transport().control_port());
    for _ in 0..50 {
        let mut measuring = pin!(a.round_trip(&name, None));
        assert_waits(&mut measuring).await;
        let mut pong = [0; 16];
        assert_eq!(peer.recv(&mut pong).unwrap(), 16);
        // The magic numbers of ping and pong (docs/WIRE.md).
        assert_eq!(pong[7], 0x54);
        pong[7] = 0x53;
        peer.send_to(&pong, &to).unwrap();
        soon(measuring).await.unwrap();
    }
}

/// The accepting thread answers pings while a handler takes long, for tasks too.
#[tokio::test]
async fn a_round_trip_works_beside_a_handler_that_takes_long() {
    let a = transport();
    let (release, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let handler = move |_: &[u8], _: &thunderbolt_transport::Sender<'_>| {
        let _ = wait.lock().unwrap().recv();
    };
    a.transport()
        .set_message_handler(Some(Box::new(handler)))
        .unwrap();
    a.send_message(b"blocks", "::1").await.unwrap();
    for _ in 0..3 {
        soon(a.round_trip("::1", None)).await.unwrap();
    }
    drop(release);
}
