//! What a run has counted, and its result.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::users::Candidate;

/// Tenants that are counted each; the users of further ones are counted together.
const TENANTS_MAX: usize = 10_000;
/// Tenants in the result, those with the most users.
const TENANTS_SHOWN: usize = 20;
/// Characters of a tenant's name in the result.
const TENANT_CHARS_MAX: usize = 40;

/// What a run has counted so far.
#[derive(Default)]
pub(super) struct Tally {
    /// Rows that it had to look at.
    pub checked: u64,
    pub candidates: u64,
    /// None where rows were found by an index, and not looked through.
    pub unreadable: Option<u64>,
    /// In a dry run, those who would have been.
    pub passivated: u64,
    pub locked: u64,
    /// Those who would be candidates if their key were not NULL.
    pub without_key: u64,
    chunks: u64,
    tenants: BTreeMap<String, u64>,
    /// Users of further tenants.
    others: u64,
    by_tenant: bool,
}

impl Tally {
    /// Counts a chunk.
    pub fn add(&mut self, done: &[Candidate], by_tenant: bool) {
        self.chunks += 1;
        self.passivated += done.len() as u64;
        self.by_tenant = by_tenant;
        for user in done.iter().filter(|_| by_tenant) {
            let tenant = user.tenant.as_deref().unwrap_or("none");
            let tenant: String = tenant.chars().take(TENANT_CHARS_MAX).collect();
            if self.tenants.len() < TENANTS_MAX || self.tenants.contains_key(&tenant) {
                *self.tenants.entry(tenant).or_default() += 1;
            } else {
                self.others += 1;
            }
        }
    }

    /// The result of the run.
    pub fn result(self, dry_run: bool) -> Value {
        let seen_meanwhile = self.candidates.saturating_sub(self.passivated).saturating_sub(self.locked);
        let mut result = json!({
            "checked": self.checked,
            "candidates": self.candidates,
            "passivated": if dry_run { 0 } else { self.passivated },
            "seen_meanwhile": if dry_run { 0 } else { seen_meanwhile },
            "locked": self.locked,
            "unreadable": self.unreadable,
            "without_key": self.without_key,
            "chunks": self.chunks,
            "dry_run": dry_run,
        });
        if self.by_tenant {
            let mut tenants: Vec<(String, u64)> = self.tenants.into_iter().collect();
            tenants.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let rest = self.others + tenants.iter().skip(TENANTS_SHOWN).map(|(_, count)| count).sum::<u64>();
            let shown = tenants.into_iter().take(TENANTS_SHOWN).map(|(tenant, count)| (tenant, json!(count)));
            result["tenants"] = Value::Object(shown.collect());
            if rest > 0 {
                result["other_tenants"] = json!(rest);
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::super::users::Key;
    use super::*;

    #[test]
    fn the_largest_tenants_are_shown_and_the_rest_counted() {
        let mut tally = Tally::default();
        for tenant in 0..30u64 {
            let user = Candidate { key: Key::of(1), seen: 0, tenant: Some(format!("t{tenant:02}")) };
            tally.add(&vec![user; tenant as usize + 1], true);
        }
        tally.add(&[Candidate { key: Key::of(1), seen: 0, tenant: None }], true);
        let result = tally.result(false);
        let tenants = result["tenants"].as_object().unwrap();
        assert_eq!((tenants.len(), &tenants["t29"], &tenants["t10"]), (20, &json!(30), &json!(11)));
        assert_eq!(result["other_tenants"], 1 + (1..=10).sum::<u64>());
    }
}
