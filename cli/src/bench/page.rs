//! The result as a self-contained HTML page.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::chart::{Axis, Chart, Scale, Series};
use super::results::Results;
use super::throughput::Throughput;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::histogram::Bin;
use crate::output;

const STYLE: &str = include_str!("page.css");

pub fn write(results: &Results, file: &Path) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(
            Exit::Failed,
            format!("cannot write {}: {error}", output::shown(file)),
        )
    };
    replace(file, page(results).as_bytes()).map_err(|error| failed(&error))
}

/// Checks whether the page can be written, before it exists.
pub fn check(file: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::new(
            Exit::Failed,
            format!("cannot write {}: {error}", output::shown(file)),
        )
    };
    match fs::symlink_metadata(file) {
        Ok(found) if found.is_dir() => Err(failed(ErrorKind::IsADirectory.into())),
        Ok(_) => File::options()
            .append(true)
            .open(file)
            .map(drop)
            .map_err(failed),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let file = beside(file);
            File::create_new(&file).map_err(failed)?;
            fs::remove_file(&file).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// A temporary name in the same directory.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    file.with_file_name(name)
}

/// Replaces a file atomically, so that an existing file survives a full disk. Writes directly to something that
/// is not a file, such as a pipe or a device.
fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    if fs::symlink_metadata(file).is_ok_and(|found| !found.is_file()) {
        return File::options()
            .write(true)
            .truncate(true)
            .open(file)?
            .write_all(content);
    }
    let new = beside(file);
    let written = File::create_new(&new).and_then(|mut out| {
        out.write_all(content)?;
        // Some file systems report a full disk only on sync.
        out.sync_all()
    });
    let written = written.and_then(|()| fs::rename(&new, file));
    if written.is_err() {
        // The incomplete file is of no use.
        let _ = fs::remove_file(&new);
    }
    written
}

fn page(results: &Results) -> String {
    let table = |rows: &[(String, String)]| -> String {
        let row = |(name, value): &(String, String)| {
            let (name, value) = (escaped(name), escaped(value));
            format!("<tr><td>{name}</td><td>{value}</td></tr>\n")
        };
        format!(
            "<table>\n{}</table>\n",
            rows.iter().map(row).collect::<String>()
        )
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>dcf-tb bench</title>\n<style>{STYLE}</style>\n<h1>dcf-tb bench</h1>\n<p>{}</p>\n\
         {}<h2>Results</h2>\n{}<h2>Round trips</h2>\n{}<h2>Streams over time</h2>\n{}</html>\n",
        escaped(&results.title()),
        table(&results.machine.rows()),
        table(&results.rows()),
        round_trips(results).html(),
        streams(results).html()
    )
}

fn escaped(text: &str) -> String {
    output::escape(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The share of round trips in each bin, on a logarithmic time axis.
fn round_trips(results: &Results) -> Chart {
    let series = [
        ("quiet link", &results.round_trips.histogram),
        ("under load", &results.round_trips_under_load.histogram),
    ];
    let bins = || series.iter().flat_map(|(_, bins)| bins.iter());
    let low = bins().map(|bin| bin.from_us).fold(f64::MAX, f64::min);
    let low = low.clamp(0.001, 1e9);
    let high = bins().map(|bin| bin.to_us).fold(low * 2.0, f64::max);
    let shares = |bins: &[Bin]| -> Vec<(f64, f64, f64)> {
        let total: u64 = bins.iter().map(|bin| bin.count).sum();
        let share = |count: u64| count as f64 * 100.0 / total.max(1) as f64;
        let of = |bin: &Bin| (bin.from_us, bin.to_us, share(bin.count));
        bins.iter().map(of).collect()
    };
    let series = series.map(|(name, bins)| (name.to_owned(), shares(bins)));
    let all = series.iter().flat_map(|(_, shares)| shares);
    let most = all.map(|(.., share)| *share).fold(1.0, f64::max);
    Chart {
        title: "The share of the round trips by their time",
        x: Axis {
            name: "µs",
            low,
            high,
            scale: Scale::Logarithmic,
        },
        y: Axis {
            name: "% of the round trips",
            low: 0.0,
            high: most * 1.05,
            scale: Scale::Linear,
        },
        series: series
            .into_iter()
            .map(|(name, shares)| (name, Series::Boxes(shares)))
            .collect(),
    }
}

fn streams(results: &Results) -> Chart {
    let gigabits = |bytes_per_second: &f64| bytes_per_second * 8.0 / 1e9;
    let ends = results
        .streams
        .iter()
        .map(|stream| stream.samples.len() as f64 * stream.sample_seconds);
    let all = results.streams.iter().flat_map(|stream| &stream.samples);
    let most = all.map(gigabits).fold(0.001, f64::max);
    let line = |stream: &Throughput| {
        let points = stream.samples.iter().enumerate();
        let points =
            points.map(|(at, rate)| ((at + 1) as f64 * stream.sample_seconds, gigabits(rate)));
        (stream.name.to_owned(), Series::Line(points.collect()))
    };
    Chart {
        title: "The rates of the streams over time",
        x: Axis {
            name: "s",
            low: 0.0,
            high: ends.fold(0.1, f64::max),
            scale: Scale::Linear,
        },
        y: Axis {
            name: "Gb/s",
            low: 0.0,
            high: most * 1.05,
            scale: Scale::Linear,
        },
        series: results.streams.iter().map(line).collect(),
    }
}
