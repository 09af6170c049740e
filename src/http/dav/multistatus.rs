//! Writes multistatus answers: each entry is the fragments of the request's plan with values between.

use super::propfind_plan::{PropertyStep, PropfindPlan};
use super::props::{LiveProperty, PropertySource};
use super::xml::write::write_empty;
use crate::http::dates::Dates;
use crate::http::href;

/// What every multistatus begins with.
pub const HEAD: &[u8] =
    b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\">";
/// What every multistatus ends with.
pub const TAIL: &[u8] = b"</D:multistatus>";

const PROPSTAT: &[u8] = b"<D:propstat><D:prop>";
const FOUND: &[u8] = b"</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>";
const MISSING: &[u8] = b"</D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>";

/// Where an entry is found.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHref<'a> {
    /// The encoded address asked for.
    pub base: &'a [u8],
    /// The name beneath it, for a child.
    pub child: Option<&'a str>,
}

/// Writes entries by a plan.
#[derive(Debug)]
pub struct MultistatusWriter {
    plan: PropfindPlan,
    dates: Dates,
    missing: Vec<u8>,
}

impl MultistatusWriter {
    /// A writer for this plan.
    pub fn new(plan: PropfindPlan) -> Self {
        Self {
            plan,
            dates: Dates::default(),
            missing: Vec::new(),
        }
    }

    /// The plan it writes by.
    pub fn plan(&self) -> &PropfindPlan {
        &self.plan
    }

    /// Writes one `response`.
    pub fn write(
        &mut self,
        out: &mut Vec<u8>,
        place: ResponseHref<'_>,
        subject: &PropertySource<'_>,
    ) {
        out.extend_from_slice(b"<D:response><D:href>");
        write_place(out, place, subject.node.folder);
        out.extend_from_slice(b"</D:href>");
        let mark = out.len();
        out.extend_from_slice(PROPSTAT);
        let start = out.len();
        self.missing.clear();
        self.write_steps(out, subject);
        if self.plan.all_dead() {
            self.write_dead(out, subject);
        }
        if out.len() == start && !self.missing.is_empty() {
            out.truncate(mark);
        } else {
            out.extend_from_slice(FOUND);
        }
        if !self.missing.is_empty() {
            out.extend_from_slice(PROPSTAT);
            out.extend_from_slice(&self.missing);
            out.extend_from_slice(MISSING);
        }
        out.extend_from_slice(b"</D:response>");
    }

    fn write_steps(&mut self, out: &mut Vec<u8>, subject: &PropertySource<'_>) {
        for step in self.plan.steps() {
            let stored = subject
                .props
                .iter()
                .find(|prop| step.is_stored_as(&prop.ns, &prop.name));
            if let Some(prop) = stored {
                out.extend_from_slice(prop.xml.as_bytes());
            } else if let Some(live) = step.live.filter(|live| live.applies(subject)) {
                if self.plan.names_only() {
                    out.extend_from_slice(&step.empty);
                } else {
                    live.write(out, subject, &mut self.dates);
                }
            } else if step.reports_missing {
                self.missing.extend_from_slice(&step.empty);
            }
        }
    }

    /// Writes the dead properties that no step has written.
    fn write_dead(&self, out: &mut Vec<u8>, subject: &PropertySource<'_>) {
        for prop in subject.props {
            let named = |step: &PropertyStep| step.is_stored_as(&prop.ns, &prop.name);
            let hidden =
                LiveProperty::of(&prop.ns, &prop.name).is_some_and(|live| !live.is_stored());
            if hidden || self.plan.steps().iter().any(named) {
                continue;
            }
            if self.plan.names_only() {
                write_empty(out, &prop.ns, &prop.name);
            } else {
                out.extend_from_slice(prop.xml.as_bytes());
            }
        }
    }
}

fn write_place(out: &mut Vec<u8>, place: ResponseHref<'_>, folder: bool) {
    out.extend_from_slice(place.base);
    if let Some(name) = place.child {
        href::write_encoded(out, name);
        if folder {
            out.push(b'/');
        }
    }
}

#[cfg(test)]
mod tests;
