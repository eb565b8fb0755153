//! Peers that appear and vanish, for tasks.

use std::time::Duration;

use super::{control_of, loopback, soon, transport};

#[tokio::test]
async fn a_task_learns_of_peers_that_appear_and_vanish() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let a = loopback()
        .peer_timeout(Duration::from_millis(200))
        .on_peer(move |event| {
            // The receiver is gone if the test has failed.
            let _ = tell.send((event.appeared, event.peer.to_owned()));
        })
        .build_async()
        .expect("a transport on lo");
    let b = transport();
    for _ in 0..2 {
        let sent = soon(b.send_message(b"x", &control_of(&a))).await;
        sent.expect("there is room");
        for appeared in [true, false] {
            let event = soon(told.recv()).await.expect("the handler is there");
            assert_eq!(event, (appeared, "::1%lo".to_owned()));
        }
    }
    let heard = a.transport().last_heard("::1").expect("an address");
    assert!(heard.is_some());
    soon(a.close()).await;
    assert_eq!(soon(told.recv()).await, None, "the handler was dropped");
}
