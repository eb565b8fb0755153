//! Closing the transport while tasks wait.

use std::pin::pin;
use std::sync::mpsc;
use std::time::Duration;

use testkit::GENEROUS;
use thunderbolt_transport::{AsyncTransport, Result, TransportError};
use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;

use crate::{assert_waits, data_of, give_up_at_once, loopback, soon, transport};

/// One task for each kind of wait.
async fn waiters(a: &AsyncTransport) -> Vec<JoinHandle<Result<()>>> {
    let far = transport();
    let mut stream = a.open_data_stream(&data_of(&far)).await.unwrap();
    let [one, two, three, four, five] = [(); 5].map(|()| a.clone());
    let silent = std::net::UdpSocket::bind("[::1]:0").unwrap();
    let mute = format!("[::1]:{}", silent.local_addr().unwrap().port());
    vec![
        tokio::spawn(async move { one.recv(&mut [0; 8]).await.map(drop) }),
        tokio::spawn(async move { two.accept().await.map(drop) }),
        tokio::spawn(async move {
            let _silent = silent;
            three.round_trip(&mute, None).await.map(drop)
        }),
        tokio::spawn(async move { four.discover(None).await.map(drop) }),
        tokio::spawn(async move { five.wait_link(false).await }),
        tokio::spawn(async move {
            let _far = far;
            let error = stream.read(&mut [0; 8]).await.unwrap_err();
            Err(error.downcast().expect("an error of the transport"))
        }),
    ]
}

async fn assert_all_end(waiters: Vec<JoinHandle<Result<()>>>) {
    for (number, waiter) in waiters.into_iter().enumerate() {
        let woken = soon(waiter).await.unwrap();
        assert!(
            matches!(woken, Err(TransportError::Shutdown)),
            "{number}: {woken:?}"
        );
    }
}

#[tokio::test]
async fn closing_wakes_all_tasks_and_frees_the_ports() {
    for round in 0..20 {
        let a = transport();
        let ports = (a.transport().control_port(), a.transport().data_port());
        let waiters = waiters(&a).await;
        // Some tasks begin after the close.
        for _ in 0..round % 4 {
            tokio::task::yield_now().await;
        }
        soon(a.close()).await;
        soon(a.close()).await;
        let again = loopback().control_port(ports.0).data_port(ports.1).build();
        again.expect("the ports are free").close();
        assert_all_end(waiters).await;
        let sent = soon(a.send_message(b"", "::1")).await;
        assert!(matches!(sent, Err(TransportError::Shutdown)), "{sent:?}");
    }
}

#[tokio::test]
async fn closing_from_another_thread_does_the_same() {
    for _ in 0..20 {
        let a = transport();
        let waiters = waiters(&a).await;
        let closing = std::thread::spawn({
            let transport = a.transport().clone();
            move || transport.close()
        });
        assert_all_end(waiters).await;
        closing.join().unwrap();
    }
}

/// The thread of a runtime may close the transport while its tasks wait and cannot run.
#[tokio::test]
async fn a_close_that_waits_needs_no_task_to_run() {
    let a = transport();
    let waiters = waiters(&a).await;
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
    a.transport().close();
    assert_all_end(waiters).await;
}

#[tokio::test]
async fn closing_waits_for_a_handler_and_other_tasks_run_meanwhile() {
    let (entered, inside) = mpsc::channel();
    let (release, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let (closed, on_closed) = mpsc::channel();
    let a = loopback()
        .on_message(move |_, _| {
            entered.send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
        })
        .on_closed(move || closed.send(()).unwrap())
        .build_async()
        .unwrap();
    a.send_message(b"", "::1").await.unwrap();
    inside.recv_timeout(GENEROUS).unwrap();
    let mut closing = pin!(a.close());
    assert_waits(&mut closing).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_waits(&mut closing).await;
    assert!(on_closed.try_recv().is_err(), "a handler runs");
    release.send(()).unwrap();
    soon(closing).await;
    on_closed.try_recv().expect("closed when close returns");
}

#[tokio::test]
async fn a_close_that_is_cancelled_closes_all_the_same() {
    let (closed, on_closed) = mpsc::channel();
    let a = loopback()
        .on_closed(move || closed.send(()).unwrap())
        .build_async()
        .unwrap();
    give_up_at_once(a.close()).await;
    on_closed.recv_timeout(GENEROUS).expect("it closes");
    soon(a.close()).await;
}

#[test]
fn a_handler_may_close_its_own_transport() {
    let (closed, on_closed) = mpsc::channel();
    let a = loopback()
        .on_closed(move || closed.send(()).unwrap())
        .build_async()
        .unwrap();
    let weak = a.downgrade();
    let handler = move |_: &[u8], _: &thunderbolt_transport::Sender<'_>| {
        let a = weak.upgrade_async().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread();
        { runtime }.build().unwrap().block_on(a.close());
    };
    a.transport()
        .set_message_handler(Some(Box::new(handler)))
        .unwrap();
    a.transport().send_message(b"close", "::1").unwrap();
    on_closed.recv_timeout(GENEROUS).expect("it closes");
}

/// A task that serves as long as another owner has a reference.
#[tokio::test]
async fn tasks_and_handlers_with_weak_references_let_the_transport_close() {
    let builder = loopback();
    let weak = builder.weak();
    let (closed, on_closed) = mpsc::channel();
    let a = builder
        .on_message(|message, sender| {
            sender.reply(message).unwrap();
        })
        .on_closed(move || closed.send(()).unwrap())
        .build_async()
        .unwrap();
    let ports = (a.transport().control_port(), a.transport().data_port());
    let asking = loopback().build_async().unwrap();
    let to = format!("[::1%lo]:{}", ports.0);
    asking.send_message(b"hello", &to).await.unwrap();
    let mut text = [0; 8];
    let (size, sender) = soon(asking.recv(&mut text)).await.unwrap();
    assert_eq!((&text[..size], sender), (&b"hello"[..], to));

    let stream = soon(a.open_data_stream("::1")).await.unwrap();
    assert_eq!(stream.transport().control_port(), ports.0);
    let serving = tokio::spawn(async move {
        while let Some(transport) = weak.upgrade_async() {
            drop(transport);
            tokio::task::yield_now().await;
        }
    });
    tokio::task::spawn_blocking(move || drop(a)).await.unwrap();
    soon(serving).await.unwrap();
    on_closed.recv_timeout(GENEROUS).expect("it closes");
    assert!(!stream.transport().is_running());
    let again = loopback().control_port(ports.0).data_port(ports.1);
    soon(again.build_async().unwrap().close()).await;
}
