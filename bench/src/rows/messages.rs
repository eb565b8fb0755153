//! Control messages: their rate, and their loss.

use crate::contestant::Kind;
use crate::figure::Figure;
use crate::work::{limit, ratio, row, size, work, Builder, Work};

/// Single messages, batches, and a steady flow.
pub fn works(b: &Builder) -> Vec<Work> {
    let mut works = rates(b);
    works.extend(losses(b));
    works
}

fn rates(b: &Builder) -> Vec<Work> {
    let one = |id, title, bytes: u32, what| {
        let with = format!("size={bytes}");
        let near = format!("{with} mode=send");
        let contestants = vec![
            b.library("messages_dcf", &with, &format!("{with} batch=1")),
            b.yardstick(
                "C, send → recvmmsg",
                "messages_c",
                &format!("{with} mode=block"),
                &near,
            ),
            b.ours(
                Kind::Other,
                "C, spinning receiver",
                "messages_c",
                &format!("{with} mode=spin"),
                &near,
            ),
        ];
        let goal = ratio("C, send", 0.95, 1.5);
        let rows = vec![row(id, title, Figure::MessageRate, goal)];
        let title = format!("Messages of {what}, one dcf_tb_send each, to a callback");
        work(id, title, contestants, rows)
    };
    let batch = |id, title, bytes: u32, what| {
        let with = format!("size={bytes}");
        let contestants = vec![
            b.library("messages_dcf", &with, &format!("{with} batch=256")),
            b.yardstick(
                "C, GSO → GRO",
                "messages_c",
                &format!("{with} mode=gro"),
                &format!("{with} mode=gso"),
            ),
        ];
        let rows = vec![row(
            id,
            title,
            Figure::MessageRate,
            ratio("C, GSO", 0.6, 0.9),
        )];
        let title = format!("Messages of {what}, dcf_tb_send_batch of 256, to a callback");
        work(id, title, contestants, rows)
    };
    let works = vec![
        one("messages-64", "messages, 64 B", 64, "64 bytes"),
        one("messages-1k", "messages, 1 KiB", 1 << 10, "1 KiB"),
        one("messages-8k", "messages, 8 KiB", 8 << 10, "8 KiB"),
        batch("batch-64", "batches, 64 B", 64, "64 bytes"),
        batch("batch-1k", "batches, 1 KiB", 1 << 10, "1 KiB"),
        batch("batch-8k", "batches, 8 KiB", 8 << 10, "8 KiB"),
    ];
    let length = b.length(size("duration_ms", 1_000, 250));
    works
        .into_iter()
        .map(|work| Work {
            settles: true,
            ..work.lasting(length.clone())
        })
        .collect()
}

fn losses(b: &Builder) -> Vec<Work> {
    let length = b.length(size("duration_ms", 2_000, 500));
    let loss = |id, title, bytes: u32, what| {
        let far = format!("size={bytes}");
        let near = format!("size={bytes} rate=100000");
        let contestants = vec![
            b.library("messages_dcf", &far, &near),
            b.yardstick("C, send → recvmmsg", "messages_c", &far, &near),
        ];
        let rows = vec![row(id, title, Figure::Loss, limit(0.0, 0.0))];
        let title = format!("Messages of {what} lost at 100,000 a second, evenly paced");
        Work {
            settles: true,
            ..work(id, title, contestants, rows).lasting(length.clone())
        }
    };
    vec![
        loss("loss-64", "loss at 100,000/s, 64 B", 64, "64 bytes"),
        loss("loss-1k", "loss at 100,000/s, 1 KiB", 1 << 10, "1 KiB"),
        loss("loss-8k", "loss at 100,000/s, 8 KiB", 8 << 10, "8 KiB"),
    ]
}
