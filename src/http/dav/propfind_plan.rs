//! The properties to write for each entry of a PROPFIND, worked out once for all entries.

use super::props::LiveProperty;
use super::quirks;
use super::requests::PropfindKind;
use super::xml::XmlName;
use super::xml::write::write_empty;
use std::collections::HashSet;

/// What to write for each entry, made once from a request.
#[derive(Debug)]
pub struct PropfindPlan {
    steps: Vec<PropertyStep>,
    /// Dead properties that `steps` do not name are written too.
    all_dead: bool,
    names_only: bool,
}

/// One property.
#[derive(Debug)]
pub struct PropertyStep {
    /// The property, if the server knows its value.
    pub live: Option<LiveProperty>,
    /// The name under which a client may have stored it.
    pub stored: Option<XmlName>,
    /// The property without a value, for the 404 part and for `propname`.
    pub empty: Vec<u8>,
    /// Whether its absence is told.
    pub reports_missing: bool,
}

impl PropertyStep {
    /// Whether a client may have stored it under this name.
    pub fn is_stored_as(&self, ns: &str, local: &str) -> bool {
        self.stored
            .as_ref()
            .is_some_and(|name| name.local == local && name.ns == ns)
    }
}

impl PropfindPlan {
    /// Makes the plan; `hide_quota` lets the quota properties not exist.
    pub fn new(find: PropfindKind, hide_quota: bool, user_agent: &str) -> Self {
        let mut plan = Self {
            steps: Vec::new(),
            all_dead: true,
            names_only: false,
        };
        let mut seen = HashSet::new();
        let asked = match find {
            PropfindKind::Named(names) => {
                plan.all_dead = false;
                names
            }
            PropfindKind::All(include) => {
                plan.add_allprop(quirks::wants_lean_listings(user_agent), &mut seen);
                include
            }
            PropfindKind::Names => {
                plan.names_only = true;
                plan.add_allprop(false, &mut seen);
                Vec::new()
            }
        };
        for name in asked {
            if seen.insert(name.clone()) {
                let live = LiveProperty::of(&name.ns, &name.local)
                    .filter(|live| !(hide_quota && live.is_quota()));
                plan.add(live, name, true);
            }
        }
        plan
    }

    fn add_allprop(&mut self, lean: bool, seen: &mut HashSet<XmlName>) {
        for (live, name) in LiveProperty::in_allprop()
            .filter(|(live, _)| !(lean && *live == LiveProperty::SupportedLock))
        {
            seen.insert(name.clone());
            self.add(Some(live), name, false);
        }
    }

    fn add(&mut self, live: Option<LiveProperty>, name: XmlName, told: bool) {
        let mut empty = Vec::new();
        write_empty(&mut empty, &name.ns, &name.local);
        let stored = live.is_none_or(LiveProperty::is_stored).then_some(name);
        self.steps.push(PropertyStep {
            live,
            stored,
            empty,
            reports_missing: told,
        });
    }

    /// The properties to write, in order.
    pub fn steps(&self) -> &[PropertyStep] {
        &self.steps
    }

    /// Whether dead properties that no step names are written too.
    pub fn all_dead(&self) -> bool {
        self.all_dead
    }

    /// Whether names are written without values.
    pub fn names_only(&self) -> bool {
        self.names_only
    }

    /// Whether entries must come with their dead properties.
    pub fn needs_props(&self) -> bool {
        self.all_dead || self.steps.iter().any(|step| step.stored.is_some())
    }

    /// Whether entries must come with their locks.
    pub fn needs_locks(&self) -> bool {
        !self.names_only
            && self
                .steps
                .iter()
                .any(|step| step.live == Some(LiveProperty::Locks))
    }

    /// Whether the entry asked for must come with its quota.
    pub fn needs_quota(&self) -> bool {
        self.steps
            .iter()
            .any(|step| step.live.is_some_and(LiveProperty::is_quota))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::dav::requests::parse_propfind;

    fn named(inner: &str) -> PropfindKind {
        parse_propfind(format!("<propfind xmlns='DAV:'><prop>{inner}</prop></propfind>").as_bytes())
            .unwrap()
    }

    #[test]
    fn plans_ask_only_for_what_they_need() {
        let needs = |find| {
            let plan = PropfindPlan::new(find, false, "");
            (plan.needs_props(), plan.needs_locks(), plan.needs_quota())
        };
        assert_eq!(
            needs(named("<getetag/><resourcetype/>")),
            (false, false, false)
        );
        assert_eq!(needs(named("<lockdiscovery/>")), (false, true, false));
        assert_eq!(needs(named("<nope/>")), (true, false, false));
        assert_eq!(needs(named("<quota-used-bytes/>")), (false, false, true));
        assert_eq!(needs(PropfindKind::All(vec![])), (true, true, false));
        assert_eq!(needs(PropfindKind::Names), (true, false, false));
    }
}
