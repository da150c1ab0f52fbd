//! Minimises a failing program, so that it shows only the relevant steps.

use super::requests::Requests;
use super::run::Mismatch;
use super::{Post, Program, Step};

/// Removes one step, request, header or operation after another, as long as the two sides still
/// differ in the same kind of result.
pub(crate) fn minimise(
    mut mismatch: Mismatch,
    mut run: impl FnMut(&Program) -> Option<Mismatch>,
) -> Mismatch {
    // Steps after the difference are irrelevant.
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

/// Returns every program that has one part less.
fn smaller(program: &Program) -> Vec<Program> {
    let mut programs = Vec::new();
    for (index, step) in program.steps.iter().enumerate() {
        programs.push(with(program, index, Vec::new()));
        if let Step::Requests(requests) = step {
            let steps = smaller_requests(requests);
            programs.extend(steps.into_iter().map(|steps| with(program, index, steps)));
        }
    }
    programs
}

/// Returns the program with one step replaced by other steps.
fn with(program: &Program, index: usize, steps: Vec<Step>) -> Program {
    let mut smaller = program.clone();
    smaller.steps.splice(index..=index, steps);
    smaller
}

/// Returns smaller variants of a group: its requests one after another, and the group with one
/// request, header or operation less.
fn smaller_requests(requests: &Requests) -> Vec<Vec<Step>> {
    let mut smaller = Vec::new();
    let posts = &requests.posts;
    if posts.len() > 1 {
        let in_turn = requests.by_end().into_iter().map(|index| posts[index].clone());
        smaller.push(in_turn.map(|post| Step::Requests(Requests::one(post))).collect());
        smaller.extend((0..posts.len()).map(|index| {
            let mut fewer = requests.clone();
            fewer.posts.remove(index);
            vec![Step::Requests(fewer)]
        }));
    }
    for (index, post) in posts.iter().enumerate() {
        let shorter = shorter(post).into_iter().map(|post| {
            let mut requests = requests.clone();
            requests.posts[index] = post;
            vec![Step::Requests(requests)]
        });
        smaller.extend(shorter);
    }
    smaller
}

fn shorter(post: &Post) -> Vec<Post> {
    let without_header = (0..post.headers.len()).map(|at| {
        let mut shorter = post.clone();
        shorter.headers.remove(at);
        shorter
    });
    let without_operation = (0..post.operations.len()).map(|at| {
        let mut shorter = post.clone();
        shorter.operations.remove(at);
        shorter
    });
    without_header.chain(without_operation).collect()
}
