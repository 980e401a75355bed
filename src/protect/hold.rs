//! [`Hold`]: bodies that wait for what was spawned inside protection in them.

use super::count::wake;
use super::scope::Scope;

/// Bodies that are protected as long as children are left that were spawned inside protection in them.
pub(super) struct Hold(Vec<Scope>);

impl Hold {
    /// Protects a body, and each body around it: the inner one may return before those children are done.
    /// A task needs no hold: its state word counts its children.
    pub(super) fn of(scope: &Scope) -> Option<Box<dyn Send>> {
        let bodies: Vec<Scope> = (scope.outward())
            .filter(|scope| matches!(scope, Scope::Body(_)))
            .collect();
        if bodies.is_empty() {
            return None;
        }
        bodies.iter().for_each(Scope::protect);
        Some(Box::new(Hold(bodies)))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut woken = Vec::new();
        for body in &self.0 {
            body.count_out(&mut woken);
        }
        wake(woken);
    }
}
