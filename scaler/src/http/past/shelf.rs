//! Answers that several page loads share: those that wait for the same one, and those that come soon after it.
//!
//! Owns how many answers are kept. A page load that is given up leaves its question to another that waits for it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

/// How many answers are kept: those of the groups that people look at. A chart's takes 30 kB.
const MOST: usize = 64;

/// Answers by their question.
#[derive(Debug)]
pub(super) struct Shelf<K, V> {
    answers: Mutex<HashMap<K, Kept<V>>>,
}

/// When a question was first asked, and its answer, once there is one.
type Kept<V> = (Instant, Arc<OnceCell<V>>);

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self { answers: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Shelf<K, V> {
    /// The answer to `key`: the one that is kept for `fresh`, the one that another page load waits for, or what `ask` gives.
    pub(super) async fn get(&self, key: &K, fresh: Duration, ask: impl Future<Output = V>) -> V {
        let cell = self.cell(key, fresh);
        cell.get_or_init(|| ask).await.clone()
    }

    /// Forgets everything: another server answers from now on.
    pub(super) fn clear(&self) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn cell(&self, key: &K, fresh: Duration) -> Arc<OnceCell<V>> {
        let now = Instant::now();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cell)) = answers.get(key).filter(|(at, _)| now.duration_since(*at) < fresh) {
            return Arc::clone(cell);
        }
        if answers.len() >= MOST {
            let oldest = answers.iter().min_by_key(|(_, (at, _))| *at).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| answers.remove(&oldest));
        }
        let cell = Arc::default();
        answers.insert(key.clone(), (now, Arc::clone(&cell)));
        cell
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_the_same_share_one_answer_for_a_while() {
        let (shelf, asked) = (Shelf::default(), AtomicU32::new(0));
        let get = async |key: u32| {
            let ask = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                asked.fetch_add(1, Ordering::Relaxed)
            };
            shelf.get(&key, Duration::from_secs(15), ask).await
        };
        assert_eq!(futures::join!(get(1), get(1), get(2)), (0, 0, 1));
        assert_eq!(get(1).await, 0, "it is still fresh");
        tokio::time::advance(Duration::from_secs(15)).await;
        assert_eq!(get(1).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_load_that_is_given_up_leaves_its_question_to_the_next() {
        let shelf = Shelf::default();
        let hangs = shelf.get(&1, Duration::from_mins(1), std::future::pending::<u32>());
        assert!(tokio::time::timeout(Duration::from_secs(1), hangs).await.is_err());
        assert_eq!(shelf.get(&1, Duration::from_mins(1), async { 7 }).await, 7);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_answers_make_room() {
        let shelf = Shelf::default();
        for key in 0..2 * MOST {
            tokio::time::advance(Duration::from_millis(1)).await;
            shelf.get(&key, Duration::from_mins(1), async { key }).await;
        }
        let kept: Vec<usize> = shelf.answers.lock().expect("no panic").keys().copied().collect();
        assert_eq!((kept.len(), kept.into_iter().min()), (MOST, Some(MOST)));
    }
}
