//! The result as a self-contained HTML page.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use plotters::prelude::*;

use super::results::Results;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::histogram::Bin;
use crate::output;

const SIZE: (u32, u32) = (900, 360);
const COLOURS: [RGBColor; 4] = [
    RGBColor(31, 119, 180),
    RGBColor(255, 127, 14),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
];
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:960px;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse}td{padding:.2em 1.5em .2em 0;border-bottom:1px solid #ddd}svg{max-width:100%;height:auto}";

pub fn write(results: &Results, file: &Path) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(
            Exit::Failed,
            format!("cannot write {}: {error}", output::shown(file)),
        )
    };
    let page = page(results).map_err(|error| failed(&error))?;
    replace(file, page.as_bytes()).map_err(|error| failed(&error))
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

fn page(results: &Results) -> Result<String, Box<dyn Error>> {
    let rows: String = results
        .rows()
        .iter()
        .map(|(name, value)| {
            format!(
                "<tr><td>{}</td><td>{}</td></tr>\n",
                escaped(name),
                escaped(value)
            )
        })
        .collect();
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <title>dcf-tb bench</title>\n<style>{STYLE}</style>\n<h1>dcf-tb bench</h1>\n<p>{}</p>\n\
         <table>\n{rows}</table>\n<h2>Round trips</h2>\n{}\n<h2>Streams over time</h2>\n{}\n</html>\n",
        escaped(&results.title()),
        round_trips(results)?,
        streams(results)?
    ))
}

fn escaped(text: &str) -> String {
    output::escape(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The share of round trips in each bin, on a logarithmic time axis.
fn round_trips(results: &Results) -> Result<String, Box<dyn Error>> {
    let series = [
        ("quiet link", &results.round_trips.histogram),
        ("under load", &results.round_trips_under_load.histogram),
    ];
    let bins = || series.iter().flat_map(|(_, bins)| bins.iter());
    let low = bins()
        .map(|bin| bin.from_us)
        .fold(f64::MAX, f64::min)
        .clamp(0.001, 1e9);
    let high = bins().map(|bin| bin.to_us).fold(low * 2.0, f64::max);
    let share = |bin: &Bin, bins: &[Bin]| {
        let total: u64 = bins.iter().map(|bin| bin.count).sum();
        bin.count as f64 * 100.0 / total.max(1) as f64
    };
    let most = series
        .iter()
        .flat_map(|(_, bins)| bins.iter().map(|bin| share(bin, bins)));
    let most = most.fold(1.0, f64::max);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(10)
            .x_label_area_size(45)
            .y_label_area_size(60)
            .build_cartesian_2d((low..high).log_scale(), 0.0..most * 1.1)?;
        chart
            .configure_mesh()
            .x_desc("µs")
            .y_desc("% of the round trips")
            .draw()?;
        for ((name, bins), colour) in series.into_iter().zip(COLOURS) {
            let boxes = bins.iter().map(|bin| {
                Rectangle::new(
                    [(bin.from_us, 0.0), (bin.to_us, share(bin, bins))],
                    colour.mix(0.5).filled(),
                )
            });
            chart
                .draw_series(boxes)?
                .label(name)
                .legend(move |at| legend(at, colour));
        }
        chart
            .configure_series_labels()
            .border_style(BLACK)
            .background_style(WHITE.mix(0.8))
            .draw()?;
        root.present()?;
    }
    Ok(svg)
}

fn streams(results: &Results) -> Result<String, Box<dyn Error>> {
    let end = |samples: &[f64], step: f64| samples.len() as f64 * step;
    let ends = results
        .streams
        .iter()
        .map(|stream| end(&stream.samples, stream.sample_seconds));
    let all = results
        .streams
        .iter()
        .flat_map(|stream| stream.samples.iter());
    let most = all.map(|sample| sample * 8.0 / 1e9).fold(0.001, f64::max);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(10)
            .x_label_area_size(45)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..ends.fold(0.1, f64::max), 0.0..most * 1.1)?;
        chart.configure_mesh().x_desc("s").y_desc("Gb/s").draw()?;
        for (stream, colour) in results.streams.iter().zip(COLOURS) {
            let points = stream.samples.iter().enumerate();
            let points = points
                .map(|(at, rate)| ((at + 1) as f64 * stream.sample_seconds, rate * 8.0 / 1e9));
            let line = [PathElement::new(
                points.collect::<Vec<_>>(),
                colour.stroke_width(2),
            )];
            chart
                .draw_series(line)?
                .label(stream.name)
                .legend(move |at| legend(at, colour));
        }
        chart
            .configure_series_labels()
            .border_style(BLACK)
            .background_style(WHITE.mix(0.8))
            .draw()?;
        root.present()?;
    }
    Ok(svg)
}

fn legend((x, y): (i32, i32), colour: RGBColor) -> Rectangle<(i32, i32)> {
    Rectangle::new([(x, y - 5), (x + 15, y + 5)], colour.filled())
}
