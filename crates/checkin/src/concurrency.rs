//! Limits what one client has at the same time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts what each key holds, and refuses what is above the limit at once. Clones share the counts.
/// A key takes memory only while it holds something.
#[derive(Clone, Debug)]
pub struct Concurrency<K: Hash + Eq> {
    // Locked for single steps.
    held: Arc<Mutex<HashMap<K, usize>>>,
    max: usize,
}

/// One of the places of a key, which is free again when this is dropped.
#[derive(Debug)]
pub struct Place<K: Hash + Eq> {
    key: K,
    held: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Hash + Eq + Clone> Concurrency<K> {
    /// Allows each key to hold at most `max` places.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { held: Arc::default(), max }
    }

    /// Returns a place, or `None` if the key holds all of its places.
    #[must_use]
    pub fn enter(&self, key: K) -> Option<Place<K>> {
        let mut held = lock(&self.held);
        let count = held.entry(key.clone()).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Place { key, held: Arc::clone(&self.held) })
    }
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        if let Some(count) = held.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.key);
            }
        }
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    // Plain numbers, which are valid after any step.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_places() {
        let limit = Concurrency::new(2);
        let first = limit.enter("a").unwrap();
        let second = limit.enter("a").unwrap();
        assert!(limit.enter("a").is_none());
        assert!(limit.enter("b").is_some());
        drop(first);
        assert!(limit.enter("a").is_some());
        drop(second);
        assert!(lock(&limit.held).is_empty(), "nothing is held any more");
    }
}
