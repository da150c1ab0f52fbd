//! Memory is always well.

use async_trait::async_trait;
use checkin_domain::MAX_SAFE_INTEGER;
use checkin_storage::health::used_up_ids;
use checkin_storage::{Fault, Finding, Health, Result, ServiceKind};

use crate::store::MemoryStorage;

#[async_trait]
impl Health for MemoryStorage {
    async fn ping(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn prepare(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn permitted(&self, _services: &[ServiceKind]) -> Result<(), Fault> {
        Ok(())
    }

    async fn upgrade(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn diagnose(&self, findings: &mut Vec<Finding>) -> Result<()> {
        let contents = self.contents();
        let counts = [contents.users.len(), contents.places.len(), contents.entries().count()];
        let [users, places, checkins] = counts.map(|count| count as u64);
        let content = Finding::content(users, places, checkins);
        let last_user = contents.users.last_key_value().map(|(id, _)| id.get());
        let last_place = contents.places.last_key_value().map(|(id, _)| id.get());
        let is_used_up = |last| last == Some(MAX_SAFE_INTEGER);
        let used_up = used_up_ids(is_used_up(last_user), is_used_up(last_place));
        findings.extend(std::iter::once(content).chain(used_up));
        Ok(())
    }
}
