//! Makes a failing program smaller, so that it shows what matters.

use super::run::Mismatch;
use super::{Program, Step};

/// Drops what can be dropped, one step or operation after the other, as long as the two sides
/// still differ in the same thing.
pub(crate) fn minimise(
    mut mismatch: Mismatch,
    mut run: impl FnMut(&Program) -> Option<Mismatch>,
) -> Mismatch {
    // What comes after the difference cannot matter.
    mismatch.program.steps.truncate(mismatch.step);
    loop {
        let kind = mismatch.kind().to_owned();
        let mut differs = |program: &Program| run(program).filter(|found| found.kind() == kind);
        let smaller = smaller(&mismatch.program).iter().find_map(&mut differs);
        let Some(smaller) = smaller else { return mismatch };
        mismatch = smaller;
        mismatch.program.steps.truncate(mismatch.step);
    }
}

/// Every program with one part less.
fn smaller(program: &Program) -> Vec<Program> {
    let mut programs = Vec::new();
    for (index, step) in program.steps.iter().enumerate() {
        let mut smaller = program.clone();
        smaller.steps.remove(index);
        programs.push(smaller);
        let operations = if let Step::Post(post) = step { post.operations.len() } else { 0 };
        programs.extend((0..operations).map(|at| without_operation(program, index, at)));
    }
    programs
}

fn without_operation(program: &Program, step: usize, at: usize) -> Program {
    let mut smaller = program.clone();
    if let Step::Post(post) = &mut smaller.steps[step] {
        post.operations.remove(at);
    }
    smaller
}
