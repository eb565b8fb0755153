//! Measures dcf_thunderbolt against C and against other tools: see `bench/README.md`.

mod bounce;
mod campaign;
mod cli;
mod contestant;
mod figure;
mod instructions;
mod interruption;
mod machine;
mod outcome;
mod peers;
mod probe;
mod processors;
mod program;
mod report;
mod results;
mod rows;
mod sample;
mod signals;
mod statistics;
mod terminal;
mod verdict;
mod wakeup;
mod work;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use clap::Parser;
use nix::sched::{unshare, CloneFlags};
use testkit::{package_root, Cable};
use time::OffsetDateTime;

use crate::cli::Options;
use crate::machine::{load_average, Machine};
use crate::report::{Report, WorkReport};
use crate::sample::Stage;
use crate::terminal::Terminal;
use crate::work::Work;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("dcf-bench: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs the benchmark; whether all required ratios were reached.
fn run(options: &Options) -> Result<bool, String> {
    let works = options.choose(rows::works(&options.programs, options.is_quick()))?;
    if options.list {
        list(&works);
        return Ok(true);
    }
    let halves = options.halves()?;
    interruption::clean_up_on_signals()?;
    check_namespaces()?;
    // Check this now, and not after twenty minutes.
    let json = create(options.json.as_ref())?;
    let markdown = create(options.markdown.as_ref())?;
    let html = create(options.html.as_ref())?;

    let date = OffsetDateTime::now_utc().date().to_string();
    let began = Instant::now();
    let machine = Machine::look(&Cable::new(), halves.as_ref(), package_root());
    let mut report = Report::new(date, options, machine);
    let mut terminal = Terminal::new(works.len());
    for work in works {
        terminal.work(&work);
        // A fresh link, without connections and routes of the previous work.
        let cable = Cable::new();
        let stage = Stage {
            cable: &cable,
            halves: halves.as_ref(),
            began,
        };
        let measured = campaign::measure(&stage, work, options.wanted(), |what| {
            terminal.progress(what)
        });
        let work = WorkReport::new(measured);
        terminal.rows(&work.outcomes);
        report.works.push(work);
    }
    terminal.end();
    report.finish(began.elapsed(), load_average());

    println!("{}", report.text());
    write(json, || report.json())?;
    write(markdown, || report.markdown())?;
    write(html, || report.html())?;
    Ok(match options.check {
        true => report.works_at_all(),
        false => !report.has_missed(),
    })
}

fn list(works: &[Work]) {
    for row in works.iter().flat_map(|work| &work.rows) {
        println!("{:22} {}", row.id, row.title);
    }
}

fn check_namespaces() -> Result<(), String> {
    // On a thread of its own, because this one must stay in its namespace.
    thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET))
        .join()
        .expect("it does not panic")
        .map_err(|errno| {
            format!(
                "cannot make a network namespace ({errno}). Run scripts/bench, or as root: it \
                 takes CAP_SYS_ADMIN and CAP_NET_ADMIN"
            )
        })
}

type Target = Option<(File, PathBuf)>;

fn create(path: Option<&PathBuf>) -> Result<Target, String> {
    let open = |path: &PathBuf| {
        let file = File::create(path).map_err(|error| cannot_write(path, &error))?;
        Ok((file, path.clone()))
    };
    path.map(open).transpose()
}

fn write(target: Target, text: impl FnOnce() -> String) -> Result<(), String> {
    let Some((mut file, path)) = target else {
        return Ok(());
    };
    file.write_all(text().as_bytes())
        .map_err(|error| cannot_write(&path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}
