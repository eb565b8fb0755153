//! The help texts, compared with snapshots. `INSTA_UPDATE=always cargo test` writes new ones.

mod common;

use common::{local, run};

fn help(arguments: &[&str]) -> String {
    run(local(arguments)).with(0)
}

#[test]
fn help_of_every_command() {
    insta::assert_snapshot!("dcf-tb", help(&["--help"]));
    let all = help(&["--help"]);
    let commands = all
        .split("Commands:\n")
        .nth(1)
        .unwrap()
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  "))
        // The other lines continue a text that does not fit on one line.
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next());
    for command in commands.filter(|command| *command != "help") {
        insta::assert_snapshot!(command, help(&[command, "--help"]));
    }
}

#[test]
fn man_pages_and_completions_are_generated() {
    let directory = tempfile::tempdir().unwrap();
    run(local(&["man", directory.path().to_str().unwrap()])).with(0);
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    for page in ["dcf-tb.1", "dcf-tb-ping.1"] {
        assert!(read(page).contains("EXIT STATUS"), "{page}");
    }
    assert!(read("dcf-tb-ping.1").contains("\\-\\-interval"));
    for (shell, mark) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef dcf-tb"),
        ("fish", "complete -c dcf-tb"),
    ] {
        assert!(help(&["completions", shell]).contains(mark), "{shell}");
    }
}

#[test]
fn a_wrong_command_line_has_another_exit_code_than_a_failure() {
    for wrong in [
        &["nothing"][..],
        &[],
        &["ping", "--count", "0"],
        &["ping", "--interval", "-1"],
        &["--control-port", "0", "discover"],
        &["-q", "-v", "discover"],
    ] {
        let ended = run(local(wrong));
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{wrong:?}");
    }
}
