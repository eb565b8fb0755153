//! Shared parts of the models (docs/TESTING.md), which are next to the code that they check.

/// Runs `model` in every possible order of its threads; with a number of `preemptions`, only in the
/// orders with at most that many.
pub(crate) fn check(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 10_000;
    builder.check(model);
}
