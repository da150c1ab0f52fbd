//! Computes the figures of users and locations from the check-ins.

use crate::domain::{Checkin, Location};
use crate::import::UserRecord;

/// Adds the check-ins to the figures. The check-ins are in the order of time; users and locations
/// have the ids from 1 on, in order.
pub(super) fn count(checkins: &[Checkin], users: &mut [UserRecord], locations: &mut [Location]) {
    for checkin in checkins {
        let user = &mut users[checkin.user.get() as usize - 1];
        user.num_checkins += 1;
        user.last_checkin = Some(checkin.id.ms);
        user.last_seen_at = Some(checkin.location);
        let location = &mut locations[checkin.location.get() as usize - 1];
        location.num_checkins += 1;
        location.num_stars += u64::from(checkin.stars.get());
    }
}
