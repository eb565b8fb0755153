//! What the models share (docs/TESTING.md). They stand beside what they check.

/// Runs `model` in every order of its threads' steps, or in all that interrupt a thread at most
/// `preemptions` times where it could go on.
pub(crate) fn check(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 10_000;
    builder.check(model);
}
