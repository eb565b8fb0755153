//! Tasks start no threads. This test has a program of its own, so that no other test starts threads.

use thunderbolt_transport::ThunderboltTransportBuilder;
use tokio::io::AsyncReadExt;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[tokio::test]
async fn streams_and_waiting_calls_have_no_threads() {
    let start = || {
        let builder = ThunderboltTransportBuilder::new().interface("lo");
        builder.control_port(0).data_port(0).build_async().unwrap()
    };
    let (a, b) = (start(), start());
    let before = threads();
    let peer = format!("[::1]:{}", b.transport().data_port());
    let silent = std::net::UdpSocket::bind("[::1]:0").unwrap();
    let mute = format!("[::1]:{}", silent.local_addr().unwrap().port());
    let mut tasks = Vec::new();
    for _ in 0..50 {
        let mut near = a.open_data_stream(&peer).await.unwrap();
        let mut far = b.accept().await.unwrap();
        let [one, two] = [a.clone(), a.clone()];
        tasks.push(tokio::spawn(async move { near.read_u8().await.is_err() }));
        tasks.push(tokio::spawn(async move { far.read_u8().await.is_err() }));
        tasks.push(tokio::spawn(
            async move { one.recv(&mut []).await.is_err() },
        ));
        let mute = mute.clone();
        tasks.push(tokio::spawn(async move {
            two.round_trip(&mute, None).await.is_err()
        }));
    }
    tokio::task::yield_now().await;
    assert_eq!(threads(), before);
    a.close().await;
    for task in tasks {
        assert!(task.await.unwrap());
    }
}
