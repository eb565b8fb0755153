//! Control messages.

use std::pin::pin;
use std::sync::mpsc;
use std::time::Duration;

use testkit::{wait_until, GENEROUS};
use thunderbolt_transport::{TransportError, MAX_MESSAGE_SIZE};

use crate::{assert_waits, control_of, give_up_at_once, soon, transport};

#[tokio::test]
async fn messages_come_and_go() {
    let (a, b) = (transport(), transport());
    let mut buf = vec![0; MAX_MESSAGE_SIZE];
    for size in [0, 1, 1400, MAX_MESSAGE_SIZE] {
        let message = vec![size as u8; size];
        let sent = soon(a.send_message(&message, &control_of(&b))).await;
        assert_eq!(sent.unwrap(), size);
        let (length, sender) = soon(b.recv(&mut buf)).await.unwrap();
        assert_eq!((&buf[..length], sender), (&message[..], control_of(&a)));
    }
    let stats = [&a, &b].map(|t| t.transport().get_stats());
    assert_eq!((stats[0].messages_sent, stats[1].messages_received), (4, 4));
    assert_eq!((stats[0].errors, stats[1].errors), (0, 0));
    let refused = soon(a.send_message(&vec![0; MAX_MESSAGE_SIZE + 1], &control_of(&b))).await;
    assert!(
        matches!(refused, Err(TransportError::MessageTooLarge { .. })),
        "{refused:?}"
    );
    assert_eq!(a.transport().get_stats().errors, 1);
}

/// The receiver thread of the transport wakes the task.
#[tokio::test]
async fn a_waiting_task_is_woken() {
    let (a, b) = (transport(), transport());
    for round in 0..200u8 {
        let mut buf = [0; 8];
        let mut next = pin!(b.recv(&mut buf));
        assert_waits(&mut next).await;
        let sent = a.transport().send_message(&[round], &control_of(&b));
        sent.unwrap();
        assert_eq!(soon(next).await.unwrap().0, 1);
    }
}

#[tokio::test]
async fn a_cancelled_recv_loses_no_message() {
    const MESSAGES: u32 = 1000;
    let (a, b) = (transport(), transport());
    let peer = control_of(&b);
    let (acknowledge, acknowledged) = mpsc::channel();
    let sending = std::thread::spawn(move || {
        for number in 0..MESSAGES {
            a.transport()
                .send_message(&number.to_be_bytes(), &peer)
                .unwrap();
            // No more than the kernel's buffer holds.
            if number % 100 == 99 {
                acknowledged.recv_timeout(GENEROUS).unwrap();
            }
        }
    });
    let (mut next, mut cancelled) = (0, 0);
    let receive_all = async {
        while next < MESSAGES {
            let mut buf = [0; 4];
            match give_up_at_once(b.recv(&mut buf)).await {
                Some(received) => {
                    received.unwrap();
                    assert_eq!(u32::from_be_bytes(buf), next);
                    if next % 100 == 99 {
                        acknowledge.send(()).unwrap();
                    }
                    next += 1;
                }
                None => cancelled += 1,
            }
        }
    };
    soon(receive_all).await;
    assert!(cancelled > 0);
    sending.join().unwrap();
}

#[tokio::test]
async fn one_that_was_woken_and_cancelled_leaves_the_message_to_the_others() {
    let (a, b) = (transport(), transport());
    let (mut one, mut two) = ([0; 8], [0; 8]);
    for round in 0..50 {
        let mut second = pin!(b.recv(&mut two));
        {
            let mut first = pin!(b.recv(&mut one));
            assert_waits(&mut first).await;
            assert_waits(&mut second).await;
            a.transport()
                .send_message(b"for one", &control_of(&b))
                .unwrap();
            wait_until("the message is queued", GENEROUS, || {
                b.transport().get_stats().messages_received > round
            });
        }
        assert_eq!(soon(second).await.unwrap().0, 7);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_that_wait_get_one_message_each() {
    let (a, b) = (transport(), transport());
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let b = b.clone();
            tokio::spawn(async move {
                let mut buf = [0; 8];
                b.recv(&mut buf).await.map(|_| buf[0])
            })
        })
        .collect();
    for number in 0..100 {
        a.send_message(&[number], &control_of(&b)).await.unwrap();
    }
    let mut got = Vec::new();
    for task in tasks {
        got.push(soon(task).await.unwrap().unwrap());
    }
    got.sort_unstable();
    assert!(got.iter().copied().eq(0..100), "{got:?}");
}

#[tokio::test]
async fn a_buffer_that_is_too_small_keeps_the_message() {
    let (a, b) = (transport(), transport());
    a.send_message(b"five!", &control_of(&b)).await.unwrap();
    let small = soon(b.recv(&mut [0; 4])).await.unwrap_err();
    assert!(matches!(
        small,
        TransportError::BufferTooSmall {
            buffer: "buf",
            size: 4,
            needed: 5
        }
    ));
    assert_eq!(soon(b.recv(&mut [0; 5])).await.unwrap().0, 5);
}

#[tokio::test]
async fn several_messages_are_taken_at_once() {
    let (a, b) = (transport(), transport());
    let mut got = Vec::new();
    {
        let mut waiting = pin!(b.recv_batch_with(10, |data, _| {
            got.extend_from_slice(data);
            Ok(())
        }));
        assert_waits(&mut waiting).await;
        a.send_message(&[0], &control_of(&b)).await.unwrap();
        assert_eq!(soon(waiting).await.unwrap(), 1);
    }
    for n in 1..=5 {
        a.send_message(&[n], &control_of(&b)).await.unwrap();
    }
    while got.len() < 6 {
        let wanted = 6 - got.len();
        let taken = b.recv_batch_with(wanted, |data, _| {
            got.extend_from_slice(data);
            Ok(())
        });
        assert!((1..=wanted).contains(&soon(taken).await.unwrap()));
    }
    assert_eq!(got, [0, 1, 2, 3, 4, 5]);
    let none = soon(b.recv_batch_with(0, |_, _| Ok(()))).await.unwrap_err();
    assert!(matches!(none, TransportError::OutOfRange { .. }));
}

/// A task that always finds a message does not keep other tasks of its thread from running.
#[tokio::test]
async fn a_flood_leaves_time_for_other_tasks() {
    let (a, b) = (transport(), transport());
    let peer = control_of(&b);
    let flooding = tokio::spawn(async move {
        loop {
            a.send_message(b"flood", &peer).await.unwrap();
        }
    });
    soon(tokio::time::sleep(Duration::from_millis(1))).await;
    flooding.abort();
    assert!(flooding.await.unwrap_err().is_cancelled());
}
