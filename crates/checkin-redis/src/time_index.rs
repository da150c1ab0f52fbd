//! The members of the index of times: entries whose ids are not their times.

use checkin_domain::CheckinId;

/// The member that marks an index as complete. It is before every time and every id.
pub(crate) const COMPLETE: &str = "00000000000000000000-00000000000000000000";

/// Returns the member of an entry in the index: equal times are in the order of their ids.
pub(crate) fn member(id: CheckinId) -> String {
    format!("{:020}-{:020}", id.ms, id.seq)
}

pub(crate) fn id(member: &str) -> Option<CheckinId> {
    let (ms, seq) = member.split_once('-')?;
    Some(CheckinId { ms: ms.parse().ok()?, seq: seq.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_sort_as_their_ids() {
        let ids = ["0-1", "9-10", "10-9", "10-10", "18446744073709551615-18446744073709551615"];
        let ids: Vec<CheckinId> = ids.iter().map(|id| id.parse().unwrap()).collect();
        let members: Vec<String> = ids.iter().map(|id| member(*id)).collect();
        assert!(members.is_sorted() && COMPLETE < members[0].as_str());
        assert!(members.iter().zip(ids).all(|(member, of)| id(member) == Some(of)));
    }
}
