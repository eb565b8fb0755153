//! Control messages arrive whole and unaltered, or not at all.

use std::collections::HashSet;
use std::sync::mpsc::{channel, Receiver};

use testkit::{wait_until, Faults, Tally, GENEROUS};
use thunderbolt_transport::{Datagram, MAX_MESSAGE_SIZE};

use crate::{at_every_loss, bytes, Link};

/// The messages that b receives, in order.
fn listen(link: &Link) -> Receiver<Vec<u8>> {
    let (sender, received) = channel();
    let set = link.b.set_message_handler(Some(Box::new(move |data, _| {
        // The receiver is gone if the test has failed.
        let _ = sender.send(data.to_vec());
    })));
    set.expect("it is open");
    received
}

fn everything(loss: f64, seed: u64) -> Faults {
    Faults {
        drop: loss,
        corrupt: 0.05,
        duplicate: 0.05,
        reorder: 0.05,
        delay: 0.02,
        seed,
    }
}

fn udp(link: &Link) -> Tally {
    link.cable.a_to_b().record().udp
}

/// Waits until as many messages have arrived as packets were delivered.
fn collect(link: &Link, received: &Receiver<Vec<u8>>, sent: usize, all: &mut Vec<Vec<u8>>) {
    wait_until("all delivered messages arrive", GENEROUS, || {
        all.extend(received.try_iter());
        let udp = udp(link);
        udp.sent == sent as u64 && all.len() as u64 == udp.delivered
    });
}

#[test]
fn messages_that_arrive_are_unaltered() {
    at_every_loss(|loss, link| {
        let received = listen(&link);
        link.cable.set_faults(everything(loss, 31));
        // Each message is one packet.
        let sent: Vec<Vec<u8>> = (0..400)
            .map(|number| bytes(number, number as usize * 150))
            .collect();
        let mut arrived = Vec::new();
        for (number, message) in sent.iter().enumerate() {
            let size = link.on_a(|a, peer| a.send_message(message, peer));
            assert_eq!(size.expect("the link is up"), message.len());
            if number % 50 == 49 {
                collect(&link, &received, number + 1, &mut arrived);
            }
        }
        let known: HashSet<&Vec<u8>> = sent.iter().collect();
        assert!(arrived.iter().all(|message| known.contains(message)));
        let udp = udp(&link);
        assert!(udp.corrupted > 0 && udp.duplicated > 0 && udp.reordered > 0);
        assert_eq!(link.a.get_stats().messages_sent, 400);
        assert_eq!(link.b.get_stats().messages_received, udp.delivered);
        // Packets with a corrupted port reached no socket.
        let drops = link.b.get_stats().kernel_drops;
        assert!(0 < drops && drops <= udp.corrupted, "{drops}");
    });
}

#[test]
fn the_messages_of_a_batch_are_separate_packets() {
    let link = Link::new();
    let received = listen(&link);
    link.cable.set_faults(everything(0.1, 32));
    let sent: Vec<Vec<u8>> = (0..100).map(|number| bytes(number, 1000)).collect();
    let batch =
        link.on_a(|a, peer| a.send_batch_from(sent.iter().map(|data| Datagram { peer, data })));
    batch.outcome.expect("the link is up");
    assert_eq!(batch.count, 100);
    let mut arrived = Vec::new();
    collect(&link, &received, 100, &mut arrived);
    assert!(arrived.iter().all(|message| sent.contains(message)));
    assert!(udp(&link).dropped > 0);
}

#[test]
fn a_message_of_two_packets_arrives_whole_or_not_at_all() {
    at_every_loss(|loss, link| {
        let received = listen(&link);
        link.cable.set_faults(everything(loss, 33));
        let sent: Vec<Vec<u8>> = (0..40)
            .map(|number| bytes(number, MAX_MESSAGE_SIZE))
            .collect();
        for message in &sent {
            let size = link.on_a(|a, peer| a.send_message(message, peer));
            size.expect("the link is up");
        }
        wait_until("the link has all packets", GENEROUS, || {
            udp(&link).sent == 80
        });
        // This message comes last: late packets delay it, and reordered ones are overtaken by a few only.
        link.cable.set_faults(Faults::default());
        let mut arrived = Vec::new();
        wait_until("the last message arrives", GENEROUS, || {
            let size = link.on_a(|a, peer| a.send_message(b"last", peer));
            size.expect("the link is up");
            arrived.extend(received.try_iter());
            arrived.iter().any(|message| message == b"last")
        });
        arrived.retain(|message| message != b"last");
        assert!(arrived.iter().all(|message| sent.contains(message)));
        let udp = udp(&link);
        assert!(arrived.len() as u64 <= udp.delivered / 2);
        assert!(!arrived.is_empty());
        assert!(loss == 0.0 || arrived.len() < 40);
    });
}
