//! The completion scripts in their shells. A shell that is not installed is skipped.

mod common;

use std::process::{Command, Stdio};

use common::{local, plain, run};

/// Runs a script in a shell, after the completion script was written to a file whose path is `$1`.
fn completed(shell: &str, script: &str) -> Option<String> {
    let is_there = Command::new(shell)
        .args(["-c", ":"])
        .stdout(Stdio::null())
        .status();
    if !is_there.is_ok_and(|status| status.success()) {
        return None;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let words = run(local(&["completions", shell])).with(0);
    std::fs::write(file.path(), words).unwrap();
    let mut command = Command::new(shell);
    // fish has no name of the script among its arguments.
    let name = if shell == "fish" { &[][..] } else { &["sh"] };
    plain(&mut command)
        .args(["-c", script])
        .args(name)
        .arg(file.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{shell}: {output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn bash_completes_commands_options_and_values() {
    let script = r#"
        source "$1"
        function=$(complete -p dcf-tb | sed 's/.*-F \([^ ]*\).*/\1/')
        try() {
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            "$function" dcf-tb "${@: -1}" "${@: -2:1}"
            echo "${COMPREPLY[*]}"
        }
        try dcf-tb pu; try dcf-tb push --dr; try dcf-tb env nc"#;
    if let Some(said) = completed("bash", script) {
        assert_eq!(said, "push\n--dry-run\nnccl\n");
    }
}

#[test]
fn fish_completes_commands_and_options() {
    let script = "source $argv[1]; complete -C 'dcf-tb pu'; complete -C 'dcf-tb push --dr'";
    if let Some(said) = completed("fish", script) {
        let words: Vec<&str> = said
            .lines()
            .filter_map(|line| line.split('\t').next())
            .collect();
        assert_eq!(words, ["push", "--dry-run"], "{said}");
    }
}

#[test]
fn zsh_accepts_the_script() {
    let script = r#"
        autoload -U compinit && compinit -u -D
        source "$1"
        [[ $_comps[dcf-tb] == _dcf-tb ]] && functions _dcf-tb >/dev/null && echo good"#;
    if let Some(said) = completed("zsh", script) {
        assert_eq!(said, "good\n");
    }
}
