//! Addresses of probes as they were read before: Prometheus asks for the same targets again and again, and reading one
//! takes thirty times as long as finding it. What is kept is bounded; it follows from the text alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::component::Component;
use crate::config::grammar;
use crate::target::{Target, TargetError};

/// So many are kept, of each component. One takes about half a KiB.
const MAX_KNOWN: usize = 8192;

/// A longer text is read each time: nobody can fill the memory with them.
const MAX_BYTES: usize = 200;

type Known = HashMap<String, Arc<Target>>;

/// Targets by what was written.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    known: Mutex<[Known; Component::ALL.len()]>,
}

impl Addresses {
    /// The target that `text` in a probe means.
    pub(crate) fn target(&self, component: Component, text: &str) -> Result<Arc<Target>, TargetError> {
        let known = |all: &mut [Known; Component::ALL.len()]| all[component as usize].get(text).cloned();
        if let Some(target) = self.with(known) {
            return Ok(target);
        }
        let target = Arc::new(Target::parse(text, grammar(component, false))?);
        if text.len() <= MAX_BYTES {
            self.with(|all| {
                let known = &mut all[component as usize];
                if known.len() >= MAX_KNOWN {
                    // Which of them are still asked for is not known; those are soon there again.
                    known.clear();
                }
                known.insert(text.to_owned(), target.clone());
            });
        }
        Ok(target)
    }

    fn with<R>(&self, use_it: impl FnOnce(&mut [Known; Component::ALL.len()]) -> R) -> R {
        use_it(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_not_read_again() {
        let addresses = Addresses::default();
        let target = |component, text: &str| addresses.target(component, text).expect("a target");
        let first = target(Component::Jvb, "10.0.0.7");
        assert!(Arc::ptr_eq(&first, &target(Component::Jvb, "10.0.0.7")));
        assert_eq!(first.label(), "10.0.0.7:8080");
        assert_eq!(target(Component::Jicofo, "10.0.0.7").label(), "10.0.0.7:8888");
        assert_eq!(addresses.target(Component::Jvb, ""), Err(TargetError::Empty));
    }

    #[test]
    fn neither_many_nor_long_ones_are_kept() {
        let addresses = Addresses::default();
        let count = || addresses.with(|all| all[Component::Jvb as usize].len());
        for number in 0..3 * MAX_KNOWN {
            addresses.target(Component::Jvb, &format!("host-{number}:8080")).expect("a target");
            assert!(count() <= MAX_KNOWN);
        }
        let before = count();
        addresses.target(Component::Jvb, &"a".repeat(MAX_BYTES + 1)).expect("a target");
        assert_eq!(count(), before);
    }
}
