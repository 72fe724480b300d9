//! What a group of events changes in rollups.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::deltas::SendDelta;
use super::group::Group;
use super::insertion::Fate;
use super::store::new_ones;
use crate::clock::Timestamp;
use crate::events::EventType;
use crate::rollups::{Changes, First, Of, Tally, Whose};
use crate::tenants::store::key;

/// Its new events, by the campaigns of their sends.
pub(super) fn of<'a>(
    group: &'a Group,
    fates: &[Fate],
    sends: &[SendDelta<'a>],
    rows: &'a [Row],
) -> Changes<'a> {
    let mut changes = Changes::default();
    let mut campaigns: Vec<Option<&'a str>> = vec![None; sends.len()];
    for row in rows {
        let number = usize::try_from(row.get::<_, i64>(0)).unwrap_or(usize::MAX);
        let (Some(send), Some(campaign)) = (sends.get(number), campaigns.get_mut(number)) else {
            continue;
        };
        *campaign = row.get(1);
        let of = Of {
            tenant: send.tenant,
            campaign: *campaign,
        };
        let delta = &send.delta;
        // What the group adds, and where in the row stands how many there are now.
        let (opens, clicks) = (&delta.opens, &delta.clicks);
        let (opened, clicked) = (EventType::Opened, EventType::Clicked);
        let kinds = [
            (opened, Whose::Anyones, opens.count.all, opens.first, 2),
            (clicked, Whose::Anyones, clicks.count.all, clicks.first, 3),
            (
                opened,
                Whose::Peoples,
                opens.count.human,
                opens.first_human,
                4,
            ),
            (
                clicked,
                Whose::Peoples,
                clicks.count.human,
                clicks.first_human,
                5,
            ),
        ];
        for (kind, whose, added, in_group, column) in kinds {
            let (Some(in_group), count) = (in_group, row.get::<_, i64>(column)) else {
                continue;
            };
            let before: Option<Timestamp> = row.get(column + 4);
            // There were some, and none of them was later than the first one of the group.
            if count > added && before.is_none() {
                continue;
            }
            let first = First {
                whose,
                before,
                in_group,
            };
            first.add_to(&mut changes, of, kind);
        }
    }
    let order: HashMap<(i32, &str), Option<&'a str>> = sends
        .iter()
        .zip(campaigns)
        .map(|(send, campaign)| ((send.tenant, send.id), campaign))
        .collect();
    for event in new_ones(group, fates) {
        let tenant = key(event.tenant);
        let campaign = order.get(&(tenant, event.send.as_str())).copied().flatten();
        let of = Of { tenant, campaign };
        let at = Timestamp(event.id.time());
        let counted = Tally::of(event.verdict());
        changes.add_events(of, event.kind, at, counted);
        if let Some(click) = &event.click {
            changes.add_clicks(of, click.index.into(), &click.url, at, counted);
        }
    }
    changes
}
