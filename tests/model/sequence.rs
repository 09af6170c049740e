//! Sequences that shrink as whoever reads a failure wants it: first every step goes that need not be, many at once, then those
//! that are left become simpler. (A plain vector of proptest simplifies one step after the other, for minutes.)

use proptest::strategy::{NewTree, Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// So many of the values of each strategy.
#[derive(Debug)]
pub struct Sequence<S>(pub Vec<(S, usize)>);

impl<S: Strategy> Strategy for Sequence<S> {
    type Tree = SequenceTree<S::Tree>;
    type Value = Vec<S::Value>;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let each = self
            .0
            .iter()
            .flat_map(|(strategy, count)| std::iter::repeat_n(strategy, *count));
        let all = each
            .map(|strategy| strategy.new_tree(runner))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(SequenceTree {
            size: all.len().div_ceil(2),
            next: 0,
            taken: Vec::new(),
            left: all,
        })
    }
}

/// A sequence being shrunk.
#[derive(Debug)]
pub struct SequenceTree<T> {
    left: Vec<T>,
    /// How many are taken away at once; 0 when single ones become simpler.
    size: usize,
    /// Where the next are.
    next: usize,
    /// What was taken away last, from `next`.
    taken: Vec<T>,
}

impl<T: ValueTree> ValueTree for SequenceTree<T> {
    type Value = Vec<T::Value>;

    fn current(&self) -> Self::Value {
        self.left.iter().map(T::current).collect()
    }

    /// Called when the case fails still: what was taken away stays away.
    fn simplify(&mut self) -> bool {
        self.taken.clear();
        while self.size > 0 {
            if self.next < self.left.len() {
                let end = self.left.len().min(self.next + self.size);
                self.taken = self.left.drain(self.next..end).collect();
                return true;
            }
            (self.size, self.next) = (self.size / 2, 0);
        }
        while let Some(step) = self.left.get_mut(self.next) {
            if step.simplify() {
                return true;
            }
            self.next += 1;
        }
        false
    }

    /// Called when the case does not fail any more: what was taken away comes back, and others go.
    fn complicate(&mut self) -> bool {
        if self.size > 0 {
            let (at, count) = (self.next, self.taken.len());
            self.left.splice(at..at, self.taken.drain(..));
            self.next += count;
        } else if self.left.get_mut(self.next).is_some_and(T::complicate) {
            return true;
        } else {
            self.next += 1;
        }
        self.simplify()
    }
}
