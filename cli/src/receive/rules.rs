//! The rules that the receiver's user has set.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::transfer::modes::Modes;

#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// Existing files are overwritten.
    pub force: bool,
    /// Peers may learn the content of files that other programs put there.
    pub compare: bool,
    /// Files that differ are replaced: a pusher asked for it, and the user allows it.
    pub update: bool,
    /// Each file is on the disk before it gets its name.
    pub sync: bool,
}

impl Rules {
    /// Whether an existing file is replaced by another one.
    pub fn replaces_files(self) -> bool {
        self.force || self.update
    }
}

/// The modes that the receiver's user allows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowed {
    pub update: bool,
    pub delete: bool,
}

impl Allowed {
    /// Fails if a pusher asks for more.
    pub fn check(self, modes: Modes) -> Result<(), Failure> {
        let refused = |what: &str| Err(Failure::new(Exit::Refused, what));
        if modes.0 & !Modes::KNOWN != 0 {
            return refused("the receiver's dcf-tb is older and does not know this mode");
        }
        if modes.has(Modes::UPDATE) && !self.update {
            return refused(
                "the receiver does not allow updates (start it with `dcf-tb receive --allow-update`)",
            );
        }
        if modes.has(Modes::DELETE) && !self.delete {
            return refused(
                "the receiver does not allow deletions (start it with `dcf-tb receive --allow-delete`)",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_allowed_may_be_asked_for() {
        let of = |update, delete| Allowed { update, delete };
        for (modes, allowed, is_good) in [
            (0, of(false, false), true),
            (Modes::DRY_RUN, of(false, false), true),
            (Modes::UPDATE, of(false, true), false),
            (Modes::UPDATE, of(true, false), true),
            (Modes::DELETE, of(true, false), false),
            (Modes::DELETE | Modes::DRY_RUN, of(false, false), false),
            (Modes::KNOWN, of(true, true), true),
            (0x80, of(true, true), false),
        ] {
            assert_eq!(
                allowed.check(Modes(modes)).is_ok(),
                is_good,
                "{modes} {allowed:?}"
            );
        }
    }
}
