//! [`Hold`]: a body that waits for what was spawned inside protection in it.

use super::count::wake;
use super::scope::Scope;

/// A scope that is protected as long as children are left that were spawned inside protection in it.
pub(super) struct Hold(Scope);

impl Hold {
    /// Protects a body. A task needs no hold: its state word counts its children.
    pub(super) fn of(scope: &Scope) -> Option<Box<dyn Send>> {
        let Scope::Body(_) = scope else {
            return None;
        };
        scope.protect();
        Some(Box::new(Hold(scope.clone())))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut woken = Vec::new();
        self.0.count_out(&mut woken);
        wake(woken);
    }
}
