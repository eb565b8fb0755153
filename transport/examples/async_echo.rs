//! An echo server in tasks: it sends messages and streams back to their sender. Without arguments it tests itself on
//! the loopback interface. On two hosts, one serves and the other asks.
//!
//! ```text
//! cargo run -p thunderbolt_transport --features async --example async_echo
//! cargo run … --example async_echo -- serve            # on one host
//! cargo run … --example async_echo -- ask [PEER]       # on the other; without PEER it searches for one
//! ```

use std::error::Error;
use std::time::Duration;

use thunderbolt_transport::{
    AsyncDataStream, AsyncTransport, ThunderboltTransportBuilder, TransportError, MAX_MESSAGE_SIZE,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let on_cable = ThunderboltTransportBuilder::new;
    match arguments.first().map(String::as_str) {
        Some("serve") => Ok(serve(on_cable().build_async()?).await?),
        Some("ask") => {
            let transport = on_cable().build_async()?;
            let peer = match arguments.get(1) {
                Some(peer) => peer.clone(),
                None => find(&transport).await?,
            };
            ask(&transport, &peer, &peer).await
        }
        _ => {
            let on_loopback = || on_cable().interface("lo").control_port(0).data_port(0);
            let (server, client) = (on_loopback().build_async()?, on_loopback().build_async()?);
            let port = |port| format!("[::1%lo]:{port}");
            let control = port(server.transport().control_port());
            let data = port(server.transport().data_port());
            let serving = tokio::spawn(serve(server.clone()));
            ask(&client, &control, &data).await?;
            // When the transport closes, its tasks wake up.
            server.close().await;
            Ok(serving.await??)
        }
    }
}

/// Serves until the transport closes.
async fn serve(transport: AsyncTransport) -> Result<(), TransportError> {
    let mut message = vec![0; MAX_MESSAGE_SIZE];
    loop {
        // The first one to complete wins. The cancelled call has taken no message and no stream.
        tokio::select! {
            received = transport.recv(&mut message) => match received {
                Ok((size, sender)) => {
                    if let Err(error) = transport.send_message(&message[..size], &sender).await {
                        eprintln!("cannot answer {sender}: {error}");
                    }
                }
                Err(TransportError::Shutdown) => return Ok(()),
                Err(error) => return Err(error),
            },
            accepted = transport.accept() => match accepted {
                Ok(stream) => drop(tokio::spawn(echo(stream))),
                Err(TransportError::Shutdown) => return Ok(()),
                Err(error) => eprintln!("cannot take a stream: {error}"),
            },
        }
    }
}

async fn echo(mut stream: AsyncDataStream) {
    let (mut reader, mut writer) = tokio::io::split(&mut stream);
    let copied = tokio::io::copy(&mut reader, &mut writer).await;
    if let Err(error) = copied.and(writer.shutdown().await) {
        eprintln!("a stream broke: {error}");
    }
}

async fn find(transport: &AsyncTransport) -> Result<String, Box<dyn Error>> {
    let peers = transport.discover(Some(Duration::from_secs(1))).await?;
    let first = peers.into_iter().next();
    Ok(first.ok_or("nobody answers on the cable")?.address)
}

async fn ask(transport: &AsyncTransport, control: &str, data: &str) -> Result<(), Box<dyn Error>> {
    let rtt = transport.measure_rtt(control, PATIENCE).await?;
    println!("round trip: {:.1} us", rtt.ok_or("no answer")? * 1e6);

    transport.send_message(b"hello", control).await?;
    let mut buf = [0; 64];
    let (size, sender) = timeout(PATIENCE, transport.recv(&mut buf)).await??;
    println!("message from {sender}: {}", buf[..size].escape_ascii());

    let stream = transport.open_data_stream(data).await?;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let sent = vec![7; 8 << 20];
    let writing = async {
        writer.write_all(&sent).await?;
        writer.shutdown().await
    };
    let mut back = Vec::new();
    let (written, read) = tokio::join!(writing, reader.read_to_end(&mut back));
    written?;
    println!("stream: {} bytes came back", read?);
    if back != sent {
        return Err("the bytes came back changed".into());
    }
    Ok(())
}
