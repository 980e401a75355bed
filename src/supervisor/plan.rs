//! [`Plan`]: what a supervisor is started with, and whether it makes sense.

use super::handle::Core;
use super::rules::Rules;
use super::spec::ChildSpec;
use crate::error::Result;
use crate::path::sanitise;
use std::any::TypeId;
use std::collections::HashSet;
use std::sync::Arc;

/// What a supervisor is started with.
pub(super) struct Plan {
    pub(super) rules: Rules,
    pub(super) specs: Vec<ChildSpec>,
    pub(super) core: Arc<Core>,
    /// The types of supervisors, which get more time to stop than other children.
    pub(super) supervisors: &'static [TypeId],
}

impl Plan {
    /// Refuses specs that make no sense beside each other, or with this supervisor.
    pub(super) fn check(&self) -> Result {
        let mut names = HashSet::new();
        for spec in &self.specs {
            let name = sanitise(&spec.name);
            if !names.insert(&*spec.name) {
                return Err(format!(
                    "two children of the supervisor have the name `{name}`: give each child a name of its own"
                )
                .into());
            }
            if let Some(objection) = self.rules.objection(&spec.rules(self.supervisors)) {
                return Err(format!("child `{name}` of the supervisor: {objection}").into());
            }
        }
        Ok(())
    }
}
